//! Reads what a view selects from the text of PostgreSQL's query tree: the columns that it shows unchanged, the
//! relations that it reads, and the columns that it groups by.
//!
//! The text consists of nested `{NODE :field value …}` and `(…)`, with backslashes as escapes. Only fields of the
//! outermost query, its target list, range table and FROM are read; they are the same in every supported version.

/// A view's query, as far as it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selected {
    /// The columns in the select list that are unchanged columns of a relation.
    pub(super) shown: Vec<Shown>,
    /// The only relation that the query reads, if each of its rows appears at most once.
    pub(super) only: Option<Only>,
    /// The columns that the query groups by, if each group is one row.
    pub(super) groups: Vec<Grouped>,
    /// The relations that the query reads; empty if it reads anything else, too.
    pub(super) read: Vec<u32>,
}

/// What a query groups by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grouped {
    /// The column; its table is 0 if it is an expression.
    pub(super) of: Shown,
    /// Whether it is in the select list.
    pub(super) is_shown: bool,
}

/// A column of the select list that is an unchanged column of a relation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its number in the select list.
    pub(super) number: i16,
    /// The OID of the relation.
    pub(super) table: u32,
    /// The column's number in the relation.
    pub(super) column: i16,
}

/// The only relation that a query reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Only {
    /// The relation's OID.
    pub(super) relation: u32,
    /// Whether the rows of inheriting tables are included.
    pub(super) with_heirs: bool,
    /// Whether the query has no condition.
    pub(super) whole: bool,
}

/// The nesting depths of the outermost query, of its target entries and relations, and of the members of its FROM.
const QUERY: usize = 1;
const ENTRY: usize = 2;
const SOURCE: usize = 3;

/// The `rtekind` of joins and, since PostgreSQL 18, of groups.
const JOIN: &str = "2";
const GROUP: &str = "9";

/// The state while reading a tree.
#[derive(Default)]
struct Reader<'t> {
    depth: usize,
    /// The current field of the query, and the current field of its node.
    section: &'t str,
    part: &'t str,
    entry: Shown,
    junk: bool,
    /// The variable that the entry is: its place in the range table and its column number. Only entries of the select
    /// list have `resorigtbl`.
    column: (usize, i16),
    /// The entry's `ressortgroupref`, by which clauses refer to it.
    named: &'t str,
    shown: Vec<Shown>,
    /// The entries that clauses refer to, and the references in the group clause.
    spoken_of: Vec<(&'t str, Grouped)>,
    grouped_by: Vec<&'t str>,
    /// The range table. The flag tells whether the member is a relation.
    relations: Vec<(Only, bool)>,
    /// The place of the group entry in the range table, and its columns (PostgreSQL 18).
    group: usize,
    group_columns: Vec<(usize, i16)>,
    /// Whether the query reads anything but relations and joins.
    reads_others: bool,
    /// The members of FROM by their places in the range table; 0 for joins.
    sources: Vec<usize>,
    /// Whether the query groups or aggregates.
    groups: bool,
    /// Whether the query may return several rows for one row or group.
    reshaped: bool,
    /// Whether the query is known to have no condition.
    whole: bool,
}

/// Reads the outermost query of a tree.
pub(super) fn selected(tree: &str) -> Selected {
    let mut reader = Reader::default();
    let mut field = "";
    for token in tokens(tree) {
        match token {
            "{" => reader.open(),
            "}" => reader.close(),
            _ => reader.word(field, token),
        }
        field = token;
    }
    let only = match reader.sources.as_slice() {
        [place] if !reader.reshaped && !reader.groups => {
            let relation = place.checked_sub(1).and_then(|place| reader.relations.get(place));
            let relation = relation.filter(|(_, is_relation)| *is_relation);
            relation.map(|(only, _)| Only { whole: reader.whole, ..*only })
        }
        _ => None,
    };
    let groups = reader.grouped();
    let read = reader.relations.iter().filter(|(_, is_relation)| *is_relation);
    let read = read.map(|(only, _)| only.relation).filter(|_| !reader.reads_others).collect();
    Selected { shown: reader.shown, only, groups, read }
}

impl<'t> Reader<'t> {
    fn open(&mut self) {
        self.reshaped |= self.depth == QUERY && self.section == ":setOperations";
        self.depth += 1;
        match (self.depth, self.section, self.part) {
            (ENTRY, ":targetList", _) => {
                (self.entry, self.junk, self.named) = (Shown::default(), false, "0");
                self.column = (0, 0);
            }
            (ENTRY, ":rtable", _) => self.relations.push((Only::default(), false)),
            (SOURCE, ":rtable", ":groupexprs") => self.group_columns.push((0, 0)),
            (SOURCE, ":jointree", ":fromlist") => self.sources.push(0),
            _ => {}
        }
    }

    fn close(&mut self) {
        let Shown { table, column, .. } = self.entry;
        let listed = self.depth == ENTRY && self.section == ":targetList";
        if listed && table != 0 && column > 0 && !self.junk {
            self.shown.push(self.entry);
        }
        if listed && self.named != "0" {
            let of = if table == 0 { self.beneath() } else { self.entry };
            self.spoken_of.push((self.named, Grouped { of, is_shown: !self.junk }));
        }
        self.depth = self.depth.saturating_sub(1);
    }

    /// A word within braces that follows the word `field`.
    fn word(&mut self, field: &str, word: &'t str) {
        match self.depth {
            QUERY if word.starts_with(':') => (self.section, self.part) = (word, ""),
            QUERY => match field {
                ":hasAggs" => self.groups |= word != "false",
                ":groupClause" => self.groups |= word != "<>",
                ":hasTargetSRFs" => self.reshaped |= word != "false",
                ":groupingSets" | ":setOperations" => self.reshaped |= word != "<>",
                _ => {}
            },
            ENTRY if word.starts_with(':') => self.part = word,
            ENTRY => self.member(field, word),
            SOURCE if self.section == ":targetList" => read_variable(&mut self.column, field, word),
            SOURCE if self.section == ":rtable" && self.part == ":groupexprs" => {
                if let Some(column) = self.group_columns.last_mut() {
                    read_variable(column, field, word);
                }
            }
            SOURCE if field == ":rtindex" && self.section == ":jointree" => {
                if let (":fromlist", Some(source)) = (self.part, self.sources.last_mut()) {
                    *source = word.parse().unwrap_or_default();
                }
            }
            _ => {}
        }
    }

    /// The entry as a column of the relation that it is one of, if it is.
    fn beneath(&self) -> Shown {
        let (place, column) = match self.column {
            (place, column) if place == self.group => {
                let expression =
                    usize::try_from(column).ok().and_then(|number| number.checked_sub(1));
                let column = expression.and_then(|place| self.group_columns.get(place));
                column.copied().unwrap_or_default()
            }
            column => column,
        };
        let relation = place.checked_sub(1).and_then(|place| self.relations.get(place));
        match relation.filter(|(_, is_relation)| *is_relation && column > 0) {
            Some((only, _)) => Shown { table: only.relation, column, ..self.entry },
            None => self.entry,
        }
    }

    /// What the query groups by, if each group is one row.
    fn grouped(&self) -> Vec<Grouped> {
        let of = |group: &&str| {
            let mut entries = self.spoken_of.iter();
            entries.find(|(name, _)| name == group).map(|(_, grouped)| *grouped)
        };
        let groups: Option<Vec<Grouped>> = self.grouped_by.iter().map(of).collect();
        groups.filter(|_| !self.reshaped).unwrap_or_default()
    }

    fn member(&mut self, field: &str, word: &'t str) {
        let relation = self.relations.last_mut();
        match (self.section, field, relation) {
            (":targetList", ":resno", _) => self.entry.number = word.parse().unwrap_or_default(),
            (":targetList", ":resorigtbl", _) => {
                self.entry.table = word.parse().unwrap_or_default()
            }
            (":targetList", ":resorigcol", _) => {
                self.entry.column = word.parse().unwrap_or_default()
            }
            (":targetList", ":resjunk", _) => self.junk = word == "true",
            (":targetList", ":ressortgroupref", _) => self.named = word,
            (":groupClause", ":tleSortGroupRef", _) => self.grouped_by.push(word),
            (":rtable", ":rtekind", Some((_, is_relation))) => {
                *is_relation = word == "0";
                self.reads_others |= !["0", JOIN, GROUP].contains(&word);
                if word == GROUP {
                    self.group = self.relations.len();
                }
            }
            (":rtable", ":relid", Some((only, _))) => {
                only.relation = word.parse().unwrap_or_default();
            }
            (":rtable", ":inh", Some((only, _))) => only.with_heirs = word != "false",
            (":jointree", ":quals", _) => self.whole = word == "<>",
            _ => {}
        }
    }
}

/// What a field says of the column that a variable is: the place of its table, and its number there.
fn read_variable(column: &mut (usize, i16), field: &str, word: &str) {
    match field {
        ":varno" => column.0 = word.parse().unwrap_or_default(),
        ":varattno" => column.1 = word.parse().unwrap_or_default(),
        _ => {}
    }
}

/// Braces and parentheses, and the words between them.
fn tokens(tree: &str) -> impl Iterator<Item = &str> {
    let bracket = |c: char| matches!(c, '{' | '}' | '(' | ')');
    let mut rest = tree;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let mut escaped = false;
        let end = match bracket(first) {
            true => 1,
            false => rest
                .find(|c: char| {
                    let plain = !escaped;
                    escaped = plain && c == '\\';
                    plain && (bracket(c) || c.is_whitespace())
                })
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::{Only, Selected, Shown, selected};

    #[test]
    fn only_the_outermost_list_counts() {
        let entry = |number: i32, name: &str, expression: &str, origin: &str, junk: bool| {
            format!(
                "{{TARGETENTRY :expr {expression} :resno {number} :resname {name} \
                 :ressortgroupref 0 {origin} :resjunk {junk}}} "
            )
        };
        let origin = |table: u32, column: i16| format!(":resorigtbl {table} :resorigcol {column}");
        let var = "{VAR :varno 1}";
        let inner = format!("{{QUERY :targetList ({})}}", entry(1, "x", var, &origin(9, 9), false));
        let tree = [
            "({QUERY :cteList <> :rtable ({RANGETBLENTRY :subquery ".to_owned(),
            inner.clone(),
            "}) :targetList (".to_owned(),
            entry(1, "a\\ \\}b", var, &origin(16, 2), false),
            entry(2, "c", &format!("{{SUBLINK :subselect {inner}}}"), &origin(0, 0), false),
            entry(3, "d", var, &origin(16, 4), true),
            entry(4, "e", var, &origin(17, 1), false),
            ") :sortClause ({SORTGROUPCLAUSE :resno 7 :resorigtbl 5 :resorigcol 5})})".to_owned(),
        ];
        assert_eq!(
            selected(&tree.concat()).shown,
            [Shown { number: 1, table: 16, column: 2 }, Shown { number: 4, table: 17, column: 1 }]
        );
        assert_eq!(selected(""), Selected::default());
        assert_eq!(selected("}}} :targetList {{{ \\"), Selected::default());
    }

    #[test]
    fn one_relation_is_read_alone() {
        let tree = |from: &str, rest: &str| {
            format!(
                "({{QUERY :hasAggs false :rtable ({{RANGETBLENTRY :alias {{ALIAS :aliasname old}} :rtekind 0 :relid 5 :inh false}} \
                 {{RANGETBLENTRY :rtekind 0 :relid 16 :inh true :tablesample <>}} {{RANGETBLENTRY :rtekind 1 :subquery {{QUERY \
                 :jointree {{FROMEXPR :fromlist ({{RANGETBLREF :rtindex 1}})}}}}}}) :jointree {{FROMEXPR :fromlist ({from}) :quals \
                 {{OPEXPR :args ({{RANGETBLREF :rtindex 1}})}}}} :targetList <> {rest}}})"
            )
        };
        let source = "{RANGETBLREF :rtindex 2}";
        let plain = ":hasTargetSRFs false :groupClause <> :setOperations <>";
        let only = Only { relation: 16, with_heirs: true, whole: false };
        assert_eq!(selected(&tree(source, plain)).only, Some(only));
        let unconditioned = tree(source, plain)
            .replace("{OPEXPR :args ({RANGETBLREF :rtindex 1})}} :targetList", "<>} :targetList");
        assert_eq!(selected(&unconditioned).only, Some(Only { whole: true, ..only }));
        for (from, rest) in [
            ("{RANGETBLREF :rtindex 3}", plain),
            ("{RANGETBLREF :rtindex 9}", plain),
            ("<>", plain),
            ("{RANGETBLREF :rtindex 2} {RANGETBLREF :rtindex 3}", plain),
            ("{JOINEXPR :larg {RANGETBLREF :rtindex 2} :rtindex 4}", plain),
            (source, ":hasTargetSRFs true"),
            (source, ":groupClause ({SORTGROUPCLAUSE :tleSortGroupRef 1})"),
            (source, ":setOperations {SETOPERATIONSTMT :op 1}"),
        ] {
            assert_eq!(selected(&tree(from, rest)).only, None, "{from} {rest}");
        }
    }

    #[test]
    fn groups_are_columns_beneath_their_own_relation() {
        let entry = |number: i32, of: &str, group: i32, origin: i32, junk: bool| {
            format!(
                "{{TARGETENTRY :expr {of} :resno {number} :ressortgroupref {group} :resorigtbl {origin} :resorigcol {origin} \
                 :resjunk {junk}}} "
            )
        };
        let var = |place: i32, column: i32| format!("{{VAR :varno {place} :varattno {column}}}");
        let relation = "{RANGETBLENTRY :alias <> :rtekind 0 :relid 16 :inh true}";
        let groups = "{SORTGROUPCLAUSE :tleSortGroupRef 1} {SORTGROUPCLAUSE :tleSortGroupRef 2}";
        // Until PostgreSQL 17 the list speaks of the relation, since 18 of the groups.
        let group = format!(
            "{{RANGETBLENTRY :alias <> :rtekind 9 :groupexprs ({} {}) :inh false}}",
            var(1, 1),
            var(1, 3)
        );
        for (table, first, second) in
            [("", var(1, 1), var(1, 3)), (group.as_str(), var(2, 1), var(2, 2))]
        {
            let tree = format!(
                "({{QUERY :hasAggs true :rtable ({relation} {table}) :targetList ({} {}) :groupClause ({groups})}})",
                entry(1, &first, 1, 16, false),
                entry(2, &second, 2, 0, true),
            );
            let groups = selected(&tree).groups;
            let told: Vec<_> =
                groups.iter().map(|group| (group.of.table, group.of.column)).collect();
            assert_eq!(told, [(16, 16), (16, 3)], "{tree}");
        }
    }
}
