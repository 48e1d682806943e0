//! HTML as text: tags away, entities as the characters that they stand for. In linear time, whatever is broken in it.

/// Tags whose content is no text.
const HIDDEN: [&str; 2] = ["script", "style"];

/// Tags that begin or end a line, so that the words at both sides stay apart.
const BREAKS: [&str; 18] = [
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
];

/// The text that HTML shows: without tags and comments, entities resolved, white space drawn together.
pub(super) fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut tags = Tags { html, quotes: true, closes: true };
    let mut at = 0;
    while let Some(open) = html[at..].find('<').map(|open| at + open) {
        text.push_str(&html[at..open]);
        match tags.end(open) {
            Some(end) => {
                let name = name(&html[open..end]);
                // A space and no line break: white space is drawn together below, as browsers do.
                if BREAKS.contains(&name.as_str()) {
                    text.push(' ');
                }
                at = if HIDDEN.contains(&name.as_str()) { behind_hidden(html, end, &name) } else { end };
            }
            // `a < b` is text, and so is what comes behind it.
            None => {
                text.push('<');
                at = open + 1;
            }
        }
    }
    text.push_str(&html[at..]);
    let words: Vec<&str> = text.split_whitespace().collect();
    unescaped(&words.join(" "))
}

struct Tags<'a> {
    html: &'a str,
    /// Quotes in tags have been closed so far. Once one is not, none is looked for again.
    quotes: bool,
    /// There may be a `>` further on.
    closes: bool,
}

impl Tags<'_> {
    /// The end of the tag or comment that opens here; none when it is none.
    fn end(&mut self, open: usize) -> Option<usize> {
        let rest = &self.html[open..];
        let first = rest[1..].chars().next()?;
        // What HTML begins a tag or a comment with; `<3` is none.
        if !first.is_ascii_alphabetic() && !matches!(first, '/' | '!' | '?') {
            return None;
        }
        if rest.starts_with("<!--") {
            // An open comment hides the rest, as browsers have it.
            return rest.find("-->").map(|at| open + at + 3).or(Some(self.html.len()));
        }
        // A `>` within quotes belongs to an attribute: `<a title="a > b">`.
        if self.quotes {
            let mut quote = None;
            for (at, byte) in rest.bytes().enumerate() {
                match (byte, quote) {
                    (b'>', None) => return Some(open + at + 1),
                    (b'"' | b'\'', None) => quote = Some(byte),
                    (byte, Some(open)) if byte == open => quote = None,
                    _ => {}
                }
            }
            // Each further tag would look for the missing quote up to the end of the text, which takes quadratic
            // time.
            self.quotes = false;
        }
        // The same for a missing `>`.
        let end = self.closes.then(|| rest.find('>')).flatten().map(|at| open + at + 1);
        self.closes = end.is_some();
        end
    }
}

/// The small name of a tag, opening or closing.
fn name(tag: &str) -> String {
    let letters = tag.trim_start_matches(['<', '/']);
    // Twelve letters are more than any tag that is asked for.
    letters.chars().take_while(char::is_ascii_alphanumeric).take(12).collect::<String>().to_ascii_lowercase()
}

/// The place behind `</script>`; the end where it is not closed.
fn behind_hidden(html: &str, start: usize, name: &str) -> usize {
    let closes = html[start..].match_indices("</").map(|(at, _)| start + at);
    let is_close =
        |at: &usize| html.get(at + 2..at + 2 + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let close = closes.into_iter().find(is_close);
    // A script that is never closed hides the rest: its code is no text for people.
    close.and_then(|at| html[at..].find('>').map(|end| at + end + 1)).unwrap_or(html.len())
}

/// A text with its entities resolved; what is none stays as it is.
pub(super) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        // No entity is longer.
        let end = rest.bytes().take(12).position(|byte| byte == b';');
        match end.and_then(|end| Some((character(&rest[1..end])?, end))) {
            Some((character, end)) => {
                plain.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// None for a name or number that stands for no character: the entity is then left as it is.
fn character(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return named(name).and_then(char::from_u32);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => number.parse().ok()?,
    };
    match code {
        0 => None,
        // Numbers that mean Windows-1252, as browsers read them.
        128..=159 => WINDOWS.chars().nth(code as usize - 128).filter(|character| *character != ' '),
        code => char::from_u32(code),
    }
}

const WINDOWS: &str = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ";

fn named(name: &str) -> Option<u32> {
    // A list in the order of the code points needs no number beside each name.
    let latin = LATIN.split(' ').position(|entity| entity == name).and_then(|place| u32::try_from(place).ok());
    latin.map(|place| place + 160).or_else(|| OTHERS.iter().find(|(entity, _)| *entity == name).map(|(_, code)| *code))
}

/// The names of U+00A0 to U+00FF.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute \
micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave \
Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml \
Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth \
ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// All others of HTML 4, and `apos`.
const OTHERS: [(&str, u32); 157] = [
    ("quot", 34),
    ("amp", 38),
    ("apos", 39),
    ("lt", 60),
    ("gt", 62),
    ("OElig", 338),
    ("oelig", 339),
    ("Scaron", 352),
    ("scaron", 353),
    ("Yuml", 376),
    ("fnof", 402),
    ("circ", 710),
    ("tilde", 732),
    ("Alpha", 913),
    ("Beta", 914),
    ("Gamma", 915),
    ("Delta", 916),
    ("Epsilon", 917),
    ("Zeta", 918),
    ("Eta", 919),
    ("Theta", 920),
    ("Iota", 921),
    ("Kappa", 922),
    ("Lambda", 923),
    ("Mu", 924),
    ("Nu", 925),
    ("Xi", 926),
    ("Omicron", 927),
    ("Pi", 928),
    ("Rho", 929),
    ("Sigma", 931),
    ("Tau", 932),
    ("Upsilon", 933),
    ("Phi", 934),
    ("Chi", 935),
    ("Psi", 936),
    ("Omega", 937),
    ("alpha", 945),
    ("beta", 946),
    ("gamma", 947),
    ("delta", 948),
    ("epsilon", 949),
    ("zeta", 950),
    ("eta", 951),
    ("theta", 952),
    ("iota", 953),
    ("kappa", 954),
    ("lambda", 955),
    ("mu", 956),
    ("nu", 957),
    ("xi", 958),
    ("omicron", 959),
    ("pi", 960),
    ("rho", 961),
    ("sigmaf", 962),
    ("sigma", 963),
    ("tau", 964),
    ("upsilon", 965),
    ("phi", 966),
    ("chi", 967),
    ("psi", 968),
    ("omega", 969),
    ("thetasym", 977),
    ("upsih", 978),
    ("piv", 982),
    ("ensp", 8194),
    ("emsp", 8195),
    ("thinsp", 8201),
    ("zwnj", 8204),
    ("zwj", 8205),
    ("lrm", 8206),
    ("rlm", 8207),
    ("ndash", 8211),
    ("mdash", 8212),
    ("lsquo", 8216),
    ("rsquo", 8217),
    ("sbquo", 8218),
    ("ldquo", 8220),
    ("rdquo", 8221),
    ("bdquo", 8222),
    ("dagger", 8224),
    ("Dagger", 8225),
    ("bull", 8226),
    ("hellip", 8230),
    ("permil", 8240),
    ("prime", 8242),
    ("Prime", 8243),
    ("lsaquo", 8249),
    ("rsaquo", 8250),
    ("oline", 8254),
    ("frasl", 8260),
    ("euro", 8364),
    ("image", 8465),
    ("weierp", 8472),
    ("real", 8476),
    ("trade", 8482),
    ("alefsym", 8501),
    ("larr", 8592),
    ("uarr", 8593),
    ("rarr", 8594),
    ("darr", 8595),
    ("harr", 8596),
    ("crarr", 8629),
    ("lArr", 8656),
    ("uArr", 8657),
    ("rArr", 8658),
    ("dArr", 8659),
    ("hArr", 8660),
    ("forall", 8704),
    ("part", 8706),
    ("exist", 8707),
    ("empty", 8709),
    ("nabla", 8711),
    ("isin", 8712),
    ("notin", 8713),
    ("ni", 8715),
    ("prod", 8719),
    ("sum", 8721),
    ("minus", 8722),
    ("lowast", 8727),
    ("radic", 8730),
    ("prop", 8733),
    ("infin", 8734),
    ("ang", 8736),
    ("and", 8743),
    ("or", 8744),
    ("cap", 8745),
    ("cup", 8746),
    ("int", 8747),
    ("there4", 8756),
    ("sim", 8764),
    ("cong", 8773),
    ("asymp", 8776),
    ("ne", 8800),
    ("equiv", 8801),
    ("le", 8804),
    ("ge", 8805),
    ("sub", 8834),
    ("sup", 8835),
    ("nsub", 8836),
    ("sube", 8838),
    ("supe", 8839),
    ("oplus", 8853),
    ("otimes", 8855),
    ("perp", 8869),
    ("sdot", 8901),
    ("lceil", 8968),
    ("rceil", 8969),
    ("lfloor", 8970),
    ("rfloor", 8971),
    ("lang", 9001),
    ("rang", 9002),
    ("loz", 9674),
    ("spades", 9824),
    ("clubs", 9827),
    ("hearts", 9829),
    ("diams", 9830),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, expected: &str) {
        assert_eq!(without_tags(html), expected, "{html}");
    }

    #[test]
    fn html_becomes_the_text_that_it_shows() {
        check("<p>One</p><p>Two &amp; <b>t</b>hree</p>", "One Two & three");
        check("a<br/>b<BR>c", "a b c");
        check("a < b and c > d", "a < b and c > d");
        check("5<6", "5<6");
        check("<a title='x > y' href=\"z\">link</a>", "link");
        check("x<!-- <b>no</b> -->y<!-- open", "xy");
        check("a<script>if (a < b) { '</p>' }</script>b<style>p{}", "ab");
        check("<b", "<b");
        check("<a \"open>kept</a>", "kept");
        check("&lt;b&gt;", "<b>");
        check("  a\n\t b  ", "a b");
    }

    #[test]
    fn entities_become_characters() {
        for (text, expected) in [
            ("&amp;lt;", "&lt;"),
            ("&nbsp;&eacute;&Yuml;&euro;&hellip;&yuml;&apos;", "\u{a0}éŸ€…ÿ'"),
            ("&#65;&#x42;&#X43;&#128;&#150;", "ABC€–"),
            ("&#0;&#xD800;&#99999999999;&nothing;& &;", "&#0;&#xD800;&#99999999999;&nothing;& &;"),
            ("&amp", "&amp"),
            ("&ü;é", "&ü;é"),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }

    /// A pass that looked to the end of the text for each bracket would take minutes.
    #[test]
    fn broken_html_takes_linear_time() {
        for piece in ["<a ", "<a '", "<a \"'", "<!-", "<script>", "</", "&", "&amp", "<"] {
            let html = piece.repeat(300_000 / piece.len());
            assert!(without_tags(&html).len() <= html.len(), "{piece}");
        }
    }
}
