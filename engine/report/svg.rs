//! Drawings: a few SVG elements, one style sheet for light, dark and paper. No number that is not finite gets out.

use std::fmt::Write;

/// Colours and type of every drawing, in the report and as a file of its own. Blue and vermilion are told apart by
/// the colour-blind (Okabe and Ito 2008); every mark differs by shape as well.
pub const STYLE: &str = "
:root { --paper: #fdfdfb; --ink: #1c1d1f; --muted: #6b6e73; --rule: #e4e4df; --bar: #0b62a4; --pass: #c8500a; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e6e6e3; --muted: #979aa0; --rule: #2e3136; --bar: #62b0ea; --pass: #f0883e; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --muted: #555; --rule: #ddd; --bar: #0b62a4; --pass: #c8500a; }
}
.mp { font: 12px 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif; fill: var(--ink); }
.mp .head { font-weight: 600; }
.mp .muted { fill: var(--muted); }
.mp .small { font-size: 10.5px; }
.mp .tiny { font-size: 9px; }
.mp .end { text-anchor: end; }
.mp .mid { text-anchor: middle; }
.mp .rule { stroke: var(--rule); stroke-width: 1; }
.mp .zebra { fill: var(--rule); opacity: .35; }
.mp .bar { stroke: var(--bar); stroke-width: 3; fill: none; }
.mp .thin { stroke: var(--bar); stroke-width: 1.5; fill: none; stroke-linejoin: round; }
.mp .best { stroke: var(--pass); }
.mp .way { opacity: .4; }
.mp .doubt { stroke-dasharray: 2.5 2.5; opacity: .75; }
.mp .birth { fill: var(--bar); stroke: var(--bar); stroke-width: 1.5; }
.mp .open { fill: var(--paper); }
.mp .arrow { fill: var(--bar); }
.mp .pass { fill: var(--pass); stroke: var(--pass); stroke-width: 1.5; }
.mp .pass.open { fill: var(--paper); }
";

/// Behind a drawing that stands alone, margins included.
const PAPER: &str = "<rect x='-16' y='-16' width='100%' height='100%' style='fill: var(--paper)'/>";

/// A drawing on a paper `width` units wide.
#[derive(Clone, Debug)]
pub struct Drawing {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Drawing {
    /// An empty drawing; the title is read out, not drawn.
    pub fn new(width: f64, title: &str) -> Drawing {
        Drawing { width, height: 0.0, title: title.to_owned(), body: String::new() }
    }

    /// A sentence and nothing else.
    pub fn saying(text: &str) -> Drawing {
        let mut drawing = Drawing::new(width(text) + 16.0, text);
        drawing.text((8.0, 20.0), "muted", text);
        drawing.crop(30.0);
        drawing
    }

    /// Sets how high the paper is.
    pub fn crop(&mut self, height: f64) {
        self.height = height;
    }

    /// A straight line.
    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (unit(x1), unit(y1), unit(x2), unit(y2));
        self.put(format_args!("<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' class='{class}'/>\n"));
    }

    /// A filled rectangle, by its upper left corner and its size.
    pub fn rect(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str) {
        let (x, y, width, height) = (unit(x), unit(y), unit(width), unit(height));
        self.put(format_args!("<rect x='{x}' y='{y}' width='{width}' height='{height}' class='{class}'/>\n"));
    }

    /// The mark of a birth.
    fn dot(&mut self, (x, y): (f64, f64), class: &str) {
        self.put(format_args!("<circle cx='{}' cy='{}' r='3.2' class='{class}'/>\n", unit(x), unit(y)));
    }

    /// The mark of a pass.
    fn diamond(&mut self, (x, y): (f64, f64), class: &str) {
        let d = format!("M{} {}l4.2 4.2l-4.2 4.2l-4.2 -4.2z", unit(x), unit(y - 4.2));
        self.put(format_args!("<path d='{d}' class='{class}'/>\n"));
    }

    /// The mark of a point of higher index.
    fn triangle(&mut self, (x, y): (f64, f64), class: &str) {
        let d = format!("M{} {}l4.6 8h-9.2z", unit(x), unit(y - 5.0));
        self.put(format_args!("<path d='{d}' class='{class}'/>\n"));
    }

    /// A mark, with its middle at a point; faint where that is one met on the way.
    pub fn mark(&mut self, at: (f64, f64), mark: Mark, faint: bool) {
        let class = |class: &str| if faint { format!("{class} way") } else { class.to_owned() };
        match mark {
            Mark::Birth => self.dot(at, &class("birth")),
            Mark::OpenBirth => self.dot(at, &class("birth open")),
            Mark::Saddle => self.diamond(at, &class("pass")),
            Mark::Top => self.diamond(at, &class("pass open")),
            Mark::Higher => self.triangle(at, &class("pass")),
            Mark::Doubt => self.line((at.0 - 7.0, at.1), (at.0 + 7.0, at.1), &class("bar doubt")),
            Mark::HalfLine => {
                self.line((at.0 - 7.0, at.1), (at.0 + 1.0, at.1), &class("bar"));
                self.arrow((at.0 + 9.0, at.1), (1.0, 0.0));
            }
        }
    }

    /// The head of an arrow that points along (dx, dy), one of them zero and the other 1 or -1.
    pub fn arrow(&mut self, (x, y): (f64, f64), (dx, dy): (f64, f64)) {
        let side = |s: f64| format!("{} {}", unit(x - 8.0 * dx + s * 4.0 * dy), unit(y - 8.0 * dy + s * 4.0 * dx));
        self.put(format_args!("<path d='M{} {}L{}L{}z' class='arrow'/>\n", unit(x), unit(y), side(1.0), side(-1.0)));
    }

    /// A curve through points.
    pub fn polyline(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", unit(*x), unit(*y))).collect();
        self.put(format_args!("<polyline points='{}' class='{class}'/>\n", points.join(" ")));
    }

    /// A line of text, by its baseline.
    pub fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        self.put(format_args!("<text x='{}' y='{}' class='{class}'>{}</text>\n", unit(x), unit(y), escape(text)));
    }

    /// Starts a group that shows a text while pointed at.
    pub fn open(&mut self, hint: &str) {
        self.put(format_args!("<g><title>{}</title>\n", escape(hint)));
    }

    /// Ends the group that [`open`](Drawing::open) started.
    pub fn close(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// A row of marks with what they mean, wrapped at the width of the paper; returns the y below it.
    pub fn legend(&mut self, x: f64, mut y: f64, entries: &[(Mark, &str)]) -> f64 {
        let mut at = x;
        for (mark, text) in entries {
            let wide = 34.0 + width(text);
            if at > x && at + wide > self.width {
                (at, y) = (x, y + 18.0);
            }
            self.mark((at + 7.0, y - 4.0), *mark, false);
            self.text((at + 20.0, y), "muted small", text);
            at += wide;
        }
        y + 14.0
    }

    /// The element alone, for a page that holds [`STYLE`].
    pub fn inline(&self) -> String {
        self.element("", 0.0, "")
    }

    /// A whole file.
    pub fn file(&self) -> String {
        self.element(" xmlns='http://www.w3.org/2000/svg'", 16.0, &format!("<style>{STYLE}</style>\n{PAPER}\n"))
    }

    fn element(&self, space: &str, margin: f64, style: &str) -> String {
        let (width, height) = (unit(self.width + 2.0 * margin), unit(self.height + 2.0 * margin));
        let (corner, title) = (unit(-margin), escape(&self.title));
        format!(
            "<svg{space} class='mp' viewBox='{corner} {corner} {width} {height}' width='{width}' height='{height}' role='img'>\n\
             <title>{title}</title>\n{style}{}</svg>\n",
            self.body
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(element);
    }
}

/// What stands at a point, and what a legend can explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Birth,
    OpenBirth,
    Saddle,
    Top,
    Higher,
    Doubt,
    HalfLine,
}

/// Text as it may stand between tags and in attributes. Characters XML knows no word for become question marks.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('?'),
            c => out.push(c),
        }
    }
    out
}

/// About how wide a small text is, generously.
pub fn width(text: &str) -> f64 {
    5.8 * text.chars().count() as f64
}

/// A coordinate: two decimals, no trailing zeros, never NaN.
fn unit(x: f64) -> String {
    let x = if x.is_finite() { x.clamp(-1e5, 1e5) } else { 0.0 };
    let text = format!("{x:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
