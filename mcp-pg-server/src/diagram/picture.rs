//! Diagrams as SVG. The crate layout-rs computes positions and lines; this draws them.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use layout::core::base::Orientation;
use layout::core::format::{ClipHandle, RenderBackend};
use layout::core::geometry::Point;
use layout::core::style::StyleAttr;
use layout::std_shapes::shapes::{Arrow, Element, ShapeKind};
use layout::topo::layout::VisualGraph;

use super::{Diagram, Entity};

/// The most tables of a picture. More could not be read.
const TABLES_MOST: usize = 150;
/// Above this number of tables, only key columns are drawn.
const WHOLE_MOST: usize = 12;
/// The most columns of a table.
const COLUMNS_MOST: usize = 25;

/// In pixels: the width of a character, the height of a line, the padding of a table, and the distance between
/// tables.
const LETTER: f64 = 7.5;
const LINE: f64 = 18.0;
const EDGE: f64 = 8.0;
const GAP: f64 = 40.0;
/// The size of the layout's character cells.
const UNIT: usize = 8;

const STYLE: &str = "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}\
    .n{font-weight:bold;fill:#fff}.t{fill:#6e7781}.b{fill:#fff;stroke:#57606a}\
    .h{fill:#33658a}.l{fill:none;stroke:#8c959f;stroke-width:1.3}";

impl Diagram {
    /// The picture.
    ///
    /// # Errors
    ///
    /// A message, if there are too many tables.
    pub(crate) fn svg(&self) -> Result<String, String> {
        if self.tables.len() > TABLES_MOST {
            return Err(format!(
                "{} tables are too many for a picture, which may have {TABLES_MOST}: choose some with --around \
                 TABLE --depth N, or --schema NAME",
                self.tables.len()
            ));
        }
        let boxes: Vec<Table> =
            self.tables.iter().map(|t| Table::new(t, self.tables.len())).collect();
        let (mut places, lines) = self.related(&boxes);
        let mut extent = lines.extent;
        for (table, place) in boxes.iter().zip(&places) {
            extent.hold(table, *place);
        }
        // Tables without references need no layout: they are drawn in rows below.
        let width = extent.right.max(1_000.0);
        let (mut x, mut y, mut tallest) = (GAP, extent.bottom + GAP, 0.0_f64);
        for (place, table) in places.iter_mut().zip(&boxes).filter(|(place, _)| place.is_none()) {
            if x + table.width > width && x > GAP {
                (x, y, tallest) = (GAP, y + tallest + GAP, 0.0);
            }
            *place = Some((x, y));
            extent.hold(table, *place);
            x += table.width + GAP;
            tallest = tallest.max(table.height());
        }
        let begin = |edge: f64| if edge < 0.0 { edge - GAP } else { 0.0 };
        let (left, top) = (begin(extent.left), begin(extent.top));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"{left:.0} {top:.0} {0:.0} {1:.0}\" \
             width=\"{0:.0}\" height=\"{1:.0}\">\n<style>{STYLE}</style>\n<defs><marker id=\"one\" markerWidth=\"9\" \
             markerHeight=\"8\" refX=\"9\" refY=\"4\" orient=\"auto\"><path d=\"M0 0L9 4L0 8z\" fill=\"#8c959f\"/>\
             </marker></defs>\n<rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"100%\" height=\"100%\" fill=\"#f6f8fa\"/>\n",
            extent.right + GAP - left,
            extent.bottom + GAP - top
        );
        svg.push_str(&lines.svg);
        for (table, place) in boxes.iter().zip(places) {
            if let Some(place) = place {
                table.draw(place, &mut svg);
            }
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The positions of the tables with references, and the lines between them.
    fn related(&self, boxes: &[Table]) -> (Vec<Option<(f64, f64)>>, Lines) {
        let position: HashMap<&str, usize> =
            self.tables.iter().enumerate().map(|(at, table)| (table.name.as_str(), at)).collect();
        let references: BTreeSet<(usize, usize)> = self
            .tables
            .iter()
            .enumerate()
            .flat_map(|(from, table)| table.references.iter().map(move |to| (from, to)))
            .filter_map(|(from, to)| Some((from, *position.get(to.table.as_str())?)))
            .filter(|(from, to)| from != to)
            .collect();
        let mut places = vec![None; boxes.len()];
        if references.is_empty() {
            return (places, Lines::default());
        }
        let mut graph = VisualGraph::new(Orientation::LeftToRight);
        let mut nodes = HashMap::new();
        let ends = references.iter().flat_map(|(from, to)| [*from, *to]);
        for at in ends.collect::<BTreeSet<usize>>() {
            if let Some(table) = boxes.get(at) {
                nodes.insert(at, graph.add_node(table.element()));
            }
        }
        for (from, to) in &references {
            if let (Some(from), Some(to)) = (nodes.get(from), nodes.get(to)) {
                graph.add_edge(Arrow::simple(""), *from, *to);
            }
        }
        let mut lines = Lines::default();
        graph.do_it(false, false, false, &mut lines);
        for (at, node) in nodes {
            if let (Some(place), Some(table)) = (places.get_mut(at), boxes.get(at)) {
                let middle = graph.pos(node).center();
                *place = Some((middle.x - table.width / 2.0, middle.y - table.height() / 2.0));
            }
        }
        (places, lines)
    }
}

/// The extent of the drawing.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Extent {
    fn reach(&mut self, x: f64, y: f64) {
        (self.left, self.right) = (self.left.min(x), self.right.max(x));
        (self.top, self.bottom) = (self.top.min(y), self.bottom.max(y));
    }

    fn hold(&mut self, table: &Table, place: Option<(f64, f64)>) {
        if let Some((x, y)) = place {
            self.reach(x, y);
            self.reach(x + table.width, y + table.height());
        }
    }
}

/// A table as a box.
struct Table {
    name: String,
    /// The names and types of its columns, and a note about omitted ones.
    lines: Vec<(String, String)>,
    width: f64,
}

impl Table {
    fn new(table: &Entity, among: usize) -> Self {
        let whole = among <= WHOLE_MOST;
        let mut columns: Vec<_> =
            table.columns.iter().filter(|c| whole || c.primary || c.foreign).collect();
        columns.truncate(COLUMNS_MOST);
        let more = table.columns.len() - columns.len();
        let mut lines: Vec<(String, String)> = columns
            .iter()
            .map(|column| {
                let key = match (column.primary, column.foreign) {
                    (true, _) => "* ",
                    (false, true) => "> ",
                    (false, false) => "  ",
                };
                (format!("{key}{}", column.name), column.type_name.clone())
            })
            .collect();
        if more > 0 {
            let columns = if more == 1 { "column" } else { "columns" };
            lines.push((String::new(), format!("{more} more {columns}")));
        }
        let letters = |text: &str| text.chars().count();
        let widest = lines.iter().map(|(name, kind)| letters(name) + 2 + letters(kind)).max();
        let letters = widest.unwrap_or_default().max(letters(&table.name));
        Self { name: table.name.clone(), lines, width: letters as f64 * LETTER + 2.0 * EDGE }
    }

    fn height(&self) -> f64 {
        (self.lines.len() as f64 + 1.0) * LINE + EDGE
    }

    /// The box for the layout.
    fn element(&self) -> Element {
        let squares = |pixels: f64| (pixels / UNIT as f64).ceil().max(1.0) as usize;
        let row = "m".repeat(squares(self.width));
        let label = vec![row; squares(self.height())].join("\n");
        let look = StyleAttr { font_size: UNIT, ..StyleAttr::simple() };
        let size = Point::new(self.width, self.height());
        Element::create(ShapeKind::new_box(&label), look, Orientation::LeftToRight, size)
    }

    fn draw(&self, (x, y): (f64, f64), svg: &mut String) {
        let (width, height) = (self.width, self.height());
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x:.1} {y:.1})\"><rect class=\"b\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"3\"/><rect class=\"h\" width=\"{width:.1}\" height=\"{LINE}\" rx=\"3\"/>\
             <text class=\"n\" x=\"{EDGE}\" y=\"13\">{}</text>",
            escaped(&self.name)
        );
        for (number, (name, kind)) in self.lines.iter().enumerate() {
            let y = (number as f64 + 1.0) * LINE + 14.0;
            let _ = writeln!(
                svg,
                "<text x=\"{EDGE}\" y=\"{y}\" xml:space=\"preserve\">{}</text><text class=\"t\" x=\"{:.1}\" \
                 y=\"{y}\" text-anchor=\"end\">{}</text>",
                escaped(name),
                width - EDGE,
                escaped(kind)
            );
        }
        svg.push_str("</g>\n");
    }
}

/// The text, escaped for XML.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // What XML 1.0 does not allow, and the rest of its kind.
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => escaped.push('_'),
            c => escaped.push(c),
        }
        escaped
    })
}

/// Collects the lines that the layout draws, and ignores the rest.
#[derive(Debug, Default)]
struct Lines {
    svg: String,
    extent: Extent,
}

impl RenderBackend for Lines {
    fn draw_rect(
        &mut self,
        _: Point,
        _: Point,
        _: &StyleAttr,
        _: Option<String>,
        _: Option<ClipHandle>,
    ) {
    }

    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_text(&mut self, _: Point, _: &str, _: &StyleAttr) {}

    /// The first pair is a point and its control point, each further pair a control point and its point.
    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        _: (bool, bool),
        _: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        let Some(((from, out), rest)) = path.split_first() else { return };
        // A curve lies within its points and control points. At a bend, the outgoing control point mirrors the
        // incoming one.
        self.extent.reach(out.x, out.y);
        for (into, to) in rest {
            self.extent.reach(into.x, into.y);
            self.extent.reach(to.x, to.y);
            self.extent.reach(2.0 * to.x - into.x, 2.0 * to.y - into.y);
        }
        let _ = write!(
            self.svg,
            "<path class=\"l\" marker-end=\"url(#one)\" d=\"M{:.1} {:.1}",
            from.x, from.y
        );
        for (number, (into, to)) in rest.iter().enumerate() {
            match number {
                0 => {
                    let _ = write!(self.svg, "C{:.1} {:.1} ", out.x, out.y);
                }
                _ => self.svg.push('S'),
            }
            let _ = write!(self.svg, "{:.1} {:.1} {:.1} {:.1}", into.x, into.y, to.x, to.y);
        }
        self.svg.push_str("\"/>\n");
    }

    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}
