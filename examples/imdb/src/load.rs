//! The load: which file fills which table, in one transaction, so that a fault leaves nothing behind.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::path::Path;
use std::pin::pin;
use std::{fmt, io};

use bytes::Bytes;
use futures_util::SinkExt as _;
use mcp_pg_server::sample;
use tokio_postgres::{Client, Transaction};

use crate::copy_text::Field::{Boolean, List, Number, Text};
use crate::copy_text::Rows;
use crate::tsv::{Reader, Skip, key, number, optional, optional_number};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is made of a line, or why it is left out.
type Line<T> = std::result::Result<T, Skip>;

/// Bytes to gather before they are sent.
const CHUNK: usize = 1 << 16;
const TITLES: &str = "title.basics.tsv";
const PRINCIPALS: &str = "title.principals.tsv";

/// What came of loading a file into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    file: &'static str,
    table: &'static str,
    rows: u64,
    /// Lines left out because they cannot be read.
    unreadable: u64,
    /// Lines left out because they are about a title or a person that no file has.
    unknown: u64,
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loaded { file, table, rows, unreadable, unknown } = self;
        write!(
            f,
            "{table}: {rows} rows from {file}; left out: {unreadable} lines that are unreadable, "
        )?;
        write!(f, "{unknown} about unknown titles or people")
    }
}

/// Makes the tables and fills them from the files in a directory. `title.basics.tsv` must be there; each other file may
/// be missing, and leaves its tables empty.
pub(crate) async fn load(client: &mut Client, directory: &Path) -> Result<Vec<Loaded>> {
    let transaction = client.transaction().await?;
    run(&transaction, sample::MOVIE_TABLES).await?;
    let mut load = Load { transaction: &transaction, directory, report: Vec::new() };
    let titles = load.titles().await?;
    load.title_genres(&titles).await?;
    load.ratings(&titles).await?;
    load.episodes(&titles).await?;
    load.akas(&titles).await?;
    let people = load.people().await?;
    load.principals(&titles, &people).await?;
    load.characters(&titles, &people).await?;
    let report = load.report;
    run(&transaction, sample::MOVIE_KEYS).await?;
    run(&transaction, "ANALYZE").await?;
    transaction.commit().await?;
    Ok(report)
}

#[expect(clippy::disallowed_methods, reason = "the text is our own and has many statements")]
async fn run(transaction: &Transaction<'_>, sql: &str) -> Result<()> {
    Ok(transaction.batch_execute(sql).await?)
}

struct Load<'a> {
    transaction: &'a Transaction<'a>,
    directory: &'a Path,
    report: Vec<Loaded>,
}

impl Load<'_> {
    async fn titles(&mut self) -> Result<HashSet<i32>> {
        let mut types = Numbers::new();
        for row in
            self.transaction.query("SELECT name, title_type_id FROM title_types", &[]).await?
        {
            types.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let mut titles = HashSet::new();
        let columns = [
            "tconst",
            "titleType",
            "primaryTitle",
            "originalTitle",
            "isAdult",
            "startYear",
            "endYear",
            "runtimeMinutes",
        ];
        let into = (
            "titles",
            "title_id, title_type_id, primary_title, original_title, is_adult, start_year, end_year, \
             runtime_minutes",
        );
        self.copy(TITLES, columns, into, |fields, rows| {
            let [tconst, kind, primary, original, adult, start, end, runtime] = fields;
            let id = key(tconst)?;
            let row = [
                Number(Some(id)),
                Number(Some(number_of(&mut types, kind)?)),
                Text(Some(primary)),
                Text(Some(original)),
                Boolean(number(adult)? == 1),
                Number(optional_number(start)?),
                Number(optional_number(end)?),
                Number(optional_number(runtime)?),
            ];
            once(&mut titles, id)?;
            rows.push(&row);
            Ok(())
        })
        .await?;
        let add =
            "INSERT INTO title_types (name, title_type_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.insert(add, &types).await?;
        Ok(titles)
    }

    async fn title_genres(&mut self, titles: &HashSet<i32>) -> Result<()> {
        let mut genres = Numbers::new();
        let mut seen = HashSet::new();
        let into = ("title_genres", "title_id, genre_id");
        self.copy(TITLES, ["tconst", "genres"], into, |[tconst, names], rows| {
            let id = known(titles, tconst)?;
            once(&mut seen, id)?;
            let mut own: Vec<i32> = list(names, ',')
                .into_iter()
                .map(|name| number_of(&mut genres, name))
                .collect::<Line<_>>()?;
            own.sort_unstable();
            own.dedup();
            for genre in own {
                rows.push(&[Number(Some(id)), Number(Some(genre))]);
            }
            Ok(())
        })
        .await?;
        self.insert("INSERT INTO genres (name, genre_id) VALUES ($1, $2)", &genres).await
    }

    async fn ratings(&mut self, titles: &HashSet<i32>) -> Result<()> {
        let columns = ["tconst", "averageRating", "numVotes"];
        let into = ("title_ratings", "title_id, average_rating, num_votes");
        self.copy("title.ratings.tsv", columns, into, |[tconst, average, votes], rows| {
            let rating: f64 = average.parse().map_err(|_| Skip::Unreadable)?;
            if !(1.0..=10.0).contains(&rating) {
                return Err(Skip::Unreadable);
            }
            let id = known(titles, tconst)?;
            rows.push(&[Number(Some(id)), Text(Some(average)), Number(Some(number(votes)?))]);
            Ok(())
        })
        .await
    }

    async fn episodes(&mut self, titles: &HashSet<i32>) -> Result<()> {
        let columns = ["tconst", "parentTconst", "seasonNumber", "episodeNumber"];
        let into = ("title_episodes", "title_id, parent_title_id, season_number, episode_number");
        self.copy("title.episode.tsv", columns, into, |[tconst, parent, season, episode], rows| {
            rows.push(&[
                Number(Some(known(titles, tconst)?)),
                Number(Some(known(titles, parent)?)),
                Number(optional_number(season)?),
                Number(optional_number(episode)?),
            ]);
            Ok(())
        })
        .await
    }

    async fn akas(&mut self, titles: &HashSet<i32>) -> Result<()> {
        let columns = [
            "titleId",
            "ordering",
            "title",
            "region",
            "language",
            "types",
            "attributes",
            "isOriginalTitle",
        ];
        let into = (
            "title_akas",
            "title_id, ordering, title, region, language, types, attributes, is_original",
        );
        self.copy("title.akas.tsv", columns, into, |fields, rows| {
            let [tconst, ordering, title, region, language, types, attributes, original] = fields;
            rows.push(&[
                Number(Some(known(titles, tconst)?)),
                Number(Some(number(ordering)?)),
                Text(Some(title)),
                Text(optional(region)),
                Text(optional(language)),
                // The files part the items of these two with a control character.
                List(&list(types, '\u{2}')),
                List(&list(attributes, '\u{2}')),
                Boolean(original == "1"),
            ]);
            Ok(())
        })
        .await
    }

    async fn people(&mut self) -> Result<HashSet<i32>> {
        let mut people = HashSet::new();
        let columns = ["nconst", "primaryName", "birthYear", "deathYear", "primaryProfession"];
        let into = ("persons", "person_id, name, birth_year, death_year, professions");
        self.copy("name.basics.tsv", columns, into, |[nconst, name, birth, death, jobs], rows| {
            let id = key(nconst)?;
            let (birth, death) = (optional_number(birth)?, optional_number(death)?);
            once(&mut people, id)?;
            rows.push(&[
                Number(Some(id)),
                Text(Some(name)),
                Number(birth),
                Number(death),
                List(&list(jobs, ',')),
            ]);
            Ok(())
        })
        .await?;
        Ok(people)
    }

    async fn principals(&mut self, titles: &HashSet<i32>, people: &HashSet<i32>) -> Result<()> {
        let columns = ["tconst", "ordering", "nconst", "category", "job"];
        let into = ("principals", "title_id, ordering, person_id, category, job");
        self.copy(PRINCIPALS, columns, into, |[tconst, ordering, nconst, category, job], rows| {
            rows.push(&[
                Number(Some(known(titles, tconst)?)),
                Number(Some(number(ordering)?)),
                Number(Some(known(people, nconst)?)),
                Text(Some(category)),
                Text(optional(job)),
            ]);
            Ok(())
        })
        .await
    }

    async fn characters(&mut self, titles: &HashSet<i32>, people: &HashSet<i32>) -> Result<()> {
        let columns = ["tconst", "ordering", "nconst", "characters"];
        let into = ("principal_characters", "title_id, ordering, position, character");
        self.copy(PRINCIPALS, columns, into, |[tconst, ordering, nconst, characters], rows| {
            let id = known(titles, tconst)?;
            known(people, nconst)?;
            let ordering = number(ordering)?;
            // A list as JSON has it.
            let names: Vec<String> = match optional(characters) {
                Some(text) => serde_json::from_str(text).map_err(|_| Skip::Unreadable)?,
                None => Vec::new(),
            };
            for (position, name) in (1..).zip(&names) {
                rows.push(&[
                    Number(Some(id)),
                    Number(Some(ordering)),
                    Number(Some(position)),
                    Text(Some(name)),
                ]);
            }
            Ok(())
        })
        .await
    }

    /// Sends what `convert` makes of each line of a file to a table. A line that it skips is counted and left out.
    async fn copy<const N: usize>(
        &mut self,
        file: &'static str,
        columns: [&str; N],
        (table, into): (&'static str, &str),
        mut convert: impl FnMut([&str; N], &mut Rows) -> Line<()>,
    ) -> Result<()> {
        let mut reader = match Reader::open(&self.directory.join(file), columns) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && file != TITLES => {
                return Ok(());
            }
            opened => opened?,
        };
        let command = format!("COPY {table} ({into}) FROM STDIN");
        let mut sink = pin!(self.transaction.copy_in::<_, Bytes>(&command).await?);
        let mut rows = Rows::default();
        let (mut unreadable, mut unknown) = (0, 0);
        while let Some(line) = reader.next_row()? {
            match line.and_then(|fields| convert(fields, &mut rows)) {
                Ok(()) => {}
                Err(Skip::Unreadable) => unreadable += 1,
                Err(Skip::Unknown) => unknown += 1,
            }
            if rows.len() >= CHUNK {
                sink.send(rows.take().into()).await?;
            }
        }
        sink.send(rows.take().into()).await?;
        let rows = sink.finish().await?;
        self.report.push(Loaded { file, table, rows, unreadable, unknown });
        Ok(())
    }

    async fn insert(&self, statement: &str, numbers: &Numbers) -> Result<()> {
        for (name, number) in numbers {
            self.transaction.execute(statement, &[name, number]).await?;
        }
        Ok(())
    }
}

/// Names that the files repeat in full and the tables have a number for.
type Numbers = HashMap<String, i32>;

/// A name's number: that of before, or the next.
fn number_of(numbers: &mut Numbers, name: &str) -> Line<i32> {
    if let Some(number) = numbers.get(name) {
        return Ok(*number);
    }
    let next = i32::try_from(numbers.len() + 1).map_err(|_| Skip::Unreadable)?;
    numbers.insert(name.to_owned(), next);
    Ok(next)
}

/// The number of a title or person that has been loaded.
fn known(loaded: &HashSet<i32>, field: &str) -> Line<i32> {
    let id = key(field)?;
    if loaded.contains(&id) { Ok(id) } else { Err(Skip::Unknown) }
}

/// Notes a number that must not come twice.
fn once(loaded: &mut HashSet<i32>, id: i32) -> Line<()> {
    if loaded.insert(id) { Ok(()) } else { Err(Skip::Unreadable) }
}

/// The items of a field that may be missing.
fn list(field: &str, separator: char) -> Vec<&str> {
    optional(field).map_or_else(Vec::new, |items| {
        items.split(separator).filter(|item| !item.is_empty()).collect()
    })
}

#[cfg(test)]
mod tests;
