//! Cases of templates: what they make of a record, what is found when they are loaded, what keeps them small.

use super::*;
use FieldKind as F;

const NOW: Timestamp = Timestamp::constant(1_790_845_200, 0);

const FIELDS: [(&str, FieldKind, Option<&str>); 12] = [
    ("Name", F::String, Some("Acme")),
    ("Notes__c", F::TextArea, None),
    ("Amount__c", F::Currency, Some("1250.50")),
    ("Long__c", F::Double, Some("12345678901234567890123456789.5")),
    ("Seats__c", F::Int, Some("12.0")),
    ("Rate__c", F::Percent, None),
    ("Paid__c", F::Boolean, Some("true")),
    ("Start__c", F::Date, Some("2026-10-01")),
    ("End__c", F::Date, None),
    ("Renews__c", F::DateTime, Some("2026-10-01T09:00:00.000+0000")),
    ("Channels__c", F::MultiPicklist, Some("Email;Web;Phone")),
    ("Account__r.Name", F::String, Some("Big")),
];

fn field(path: &str) -> Option<&'static (&'static str, FieldKind, Option<&'static str>)> {
    static ALL: [(&str, FieldKind, Option<&str>); 12] = FIELDS;
    ALL.iter().find(|(name, ..)| *name == path)
}

fn read(source: &str) -> Template {
    Template::read(source).unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

fn render(source: &str) -> Result<String, String> {
    let template = read(source);
    let fields: Vec<_> = template.paths().map(|path| field(path).unwrap_or_else(|| panic!("{path}"))).collect();
    template.render(fields.iter().map(|(_, kind, text)| (kind, *text)), NOW)
}

/// What `validate` would find: messages with their places.
fn found(source: &str) -> Vec<(String, String)> {
    let shown = |error: &TemplateError| {
        let message = error.help.iter().fold(error.message.clone(), |message, help| format!("{message}; {help}"));
        (source[error.span.clone()].to_owned(), message)
    };
    match Template::read(source) {
        Err(error) => vec![shown(&error)],
        Ok(template) => {
            let kinds: Vec<_> = template.paths().map(|path| field(path).map(|(_, kind, _)| kind.clone())).collect();
            template.check(&kinds).iter().map(shown).collect()
        }
    }
}

#[track_caller]
fn check(source: &str, expected: &str) {
    assert_eq!(found(source), [], "{source}");
    assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
}

/// The place of the only finding, and words of it.
#[track_caller]
fn refused(source: &str, place: &str, words: &str) {
    let all = found(source);
    let [(span, message)] = &*all else { panic!("{source}: {all:?}") };
    assert!(message.contains(words), "{source}: {message}");
    assert_eq!(span, place, "{source}: {message}");
}

/// What passes the check, and fails for this record.
#[track_caller]
fn fails(source: &str, words: &str) {
    assert_eq!(found(source), [], "{source}");
    let error = render(source).unwrap_err();
    assert!(error.contains(words), "{source}: {error}");
}

#[test]
fn statements_do_what_jinja_users_expect() {
    check("{{ Name }} · {{ Amount__c | round(2) }}", "Acme · 1250.50");
    check("{% if Paid__c %}yes{% else %}no{% endif %}", "yes");
    check("{% if Seats__c > 100 %}l{% elif Seats__c > 10 %}m{% else %}s{% endif %}", "m");
    check("{% for c in Channels__c | split(';') %}{{ loop.index }}{{ c | lower }} {% endfor %}", "1email 2web 3phone");
    check(
        "{% for c in Channels__c | split(';') if c != 'Web' %}{{ c }}{{ ',' if not loop.last }}{% endfor %}",
        "Email,Phone",
    );
    check("{% for c in Notes__c | split(';') %}{{ c }}{% else %}none{% endfor %}", "none");
    check("{% for n in range(1, 3) %}{{ n * 2 }}{% endfor %}", "24");
    check("{% set n = Name | upper %}{{ n }}{{ n[0] }}", "ACMEA");
    check("{% set n %}<{{ Name }}>{% endset %}{{ n | lower }}", "<acme>");
    check("{% set n | upper %}<{{ Name }}>{% endset %}{{ n }}", "<ACME>");
    check("{% with a = Name, b = 'x' %}{{ a ~ b }}{% endwith %}", "Acmex");
    check("{% filter upper | replace('M', '-') %}a {{ Name }}{% endfilter %}", "A AC-E");
    check("{% raw %}{{ Name }}{% endraw %}{# {{ x | nothing }} #}", "{{ Name }}");
    check("{{ 'a' if Notes__c else 'b' }}{{ 'c' if Notes__c }}", "b");
    check("{{ Account__r.Name }}{{ Account__r['Name'] }}", "BigBig");
    check("{{ {'Acme': 'A', 'Other': 'O'}[Name] }}{{ {'x': 1}.x }}", "A1");
    check("{{ Name in ['Acme', 'Other'] }} {{ 'z' not in Name }}", "true true");
    check("{{ Notes__c or 'none' }} {{ Name and 'some' }}", "none some");
    check("{{ 1 < 2 < 3 }}{{ 1 < 3 < 2 }}", "truefalse");
    check("{{ 2 + 3 * 2 ** 2 }} {{ -2 ** 2 }} {{ (2 + 3) * 2 }} {{ 1 ~ 2 * 3 }}", "14 -4 10 16");
    check("{{ now[:10] }} {{ now() | date('%Y') }}", "2026-10-01 2026");
    check("{{ Channels__c | split(';') | map('upper') | join('+') }}", "EMAIL+WEB+PHONE");
    check("{{ Channels__c | split(';') | select('containing', 'e') | map('replace', 'e', 'E') | join }}", "WEbPhonE");
    check("{{ Channels__c | split(';') | reject('in', ['Web']) | list | length }}", "2");
}

#[test]
fn a_variable_of_a_branch_or_an_earlier_turn_is_blank_elsewhere() {
    check("{% if Notes__c %}{% set x = 1 %}{% endif %}<{{ x }}>", "<>");
    let turns = "{% for c in ['a', 'b'] %}{% if c == 'a' %}{% set y = c %}{% endif %}[{{ y }}]{% endfor %}";
    check(turns, "[a][]");
    check("{% set x = 1 %}{% for c in ['a'] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "21");
}

#[test]
fn white_space_of_the_layout_is_no_part_of_the_value() {
    check("\n  {% if Paid__c %}\n    large\n  {% else %}\n    small\n  {% endif %}\n", "large");
    check("a\n  {% if Paid__c %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc");
    check("a {% if Paid__c %} b {% endif %} c", "a  b  c");
    check("a \n {%- if Paid__c -%} \n b \n {%- endif -%} \n c", "abc");
    check("a\n  {%+ if Paid__c +%}\nb{% endif %}", "a\n  \nb");
    check("a\n  {# c #}\nb {{ Name }}\nc", "a\nb Acme\nc");
    check("a\n  {{- Name -}}\n b", "aAcmeb");
    check("a\r\n{% if Paid__c %}\r\nb\r\n{% endif %}\r\nc", "a\r\nb\r\nc");
    check("\n  {% if Notes__c %}\n    x\n  {% endif %}\n", "");
    check("{% raw -%}\n  {{ a }}\n{%- endraw %}", "{{ a }}");
}

#[test]
fn numbers_are_decimals() {
    check("{{ 0.1 + 0.2 }} {{ 1.10 }} {{ 1e3 }} {{ 1_000 }} {{ 1.10 ~ '' }}", "0.3 1.1 1000 1000 1.1");
    check("{{ Long__c + 0.5 }} {{ Long__c * 2 }}", "12345678901234567890123456790 24691357802469135780246913579");
    check("{{ Amount__c / 3 }}", "416.833333333333333333333333333333");
    check("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }}", "3 -4 2 -2");
    check("{{ 1 == 1.0 }} {{ 1.0 in [1, 2] }} {{ {1: 'a'}[1.0] }} {{ 10 > 9.99 }}", "true true a true");
    check("{{ [0.1, 0.2, 0.3] | sum }} {{ ['0.1', '10', 9] | map('float') | max }}", "0.6 10");
    check("{{ [10, 9.5, 1e2] | sort | join(' ') }}", "9.5 10 100");
    check("{{ (Amount__c | round(2)) + 1 }} {{ Amount__c | round }} {{ 1250 | round(-2) }}", "1251.5 1251 1300");
    check(
        "{{ 2.5 | round }} {{ -2.5 | round }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }}",
        "3 -3 3 2",
    );
    check("{{ Amount__c | round(2) | thousands }} {{ -1234567 | thousands('.') }}", "1,250.50 -1.234.567");
    check("{{ Amount__c | int }} {{ '12.9' | int }} {{ '1e2' | float }} {{ Paid__c | int }}", "1250 12 100 1");
    check("{{ 2 ** 100 }} {{ 2 ** -2 }} {{ -5 | abs }}", "1267650600228229401496703205376 0.25 5");
    check("{{ Amount__c }}{{ Seats__c }} {{ '1234.50' | thousands }}", "1250.512 1,234.50");
}

#[test]
fn a_blank_is_one_thing_everywhere() {
    check("{% if Rate__c > 100 %}large{% else %}small{% endif %}", "small");
    check("{{ Rate__c < 1 }}{{ 1 > Rate__c }}{{ Rate__c <= Rate__c }}{{ End__c > Start__c }}", "falsefalsefalsefalse");
    check("{{ Rate__c == '' }}{{ Rate__c == none }}{{ Rate__c == 0 }}{{ Rate__c != 0 }}", "truetruefalsetrue");
    check("<{{ Rate__c / 100 }}{{ 1 - Rate__c }}{{ Rate__c * Rate__c }}{{ -Rate__c }}{{ 5 // Rate__c }}>", "<>");
    check("{{ Notes__c + 'x' }}{{ 'x' + Notes__c }}{{ Notes__c ~ 'y' ~ Rate__c }}", "xxy");
    check("{{ Rate__c | int }}{{ Rate__c | float }}{{ Rate__c | int(7) }}", "007");
    check("<{{ Rate__c | round(2) }}{{ Rate__c | thousands }}{{ End__c | date('%d') }}{{ Notes__c | upper }}>", "<>");
    check("{{ Rate__c | default(5) }}{{ Notes__c | d('x') }}{{ 0 | default(5) }}{{ 0 | default(5, true) }}", "5x05");
    check("{{ Notes__c | default('none', true) }}{{ Notes__c | default('x', boolean=true) }}", "nonex");
    check("{{ Notes__c | length }}{{ Notes__c | split(';') | length }}<{{ Notes__c[:3] }}{{ Notes__c[0] }}>", "00<>");
    check(
        "{{ Notes__c in ['a'] }}{{ Notes__c in ['a', ''] }}{{ Notes__c in Name }}{{ 'a' in Notes__c }}",
        "falsetruefalsefalse",
    );
    check(
        "{{ Notes__c is blank }}{{ Notes__c is none }}{{ Notes__c is defined }}{{ Notes__c is string }}",
        "truetruetruefalse",
    );
    check("{{ Rate__c is gt(5) }}{{ Rate__c is odd }}{{ Notes__c is startingwith('a') }}", "falsefalsefalse");
    check("<{{ Start__c | add_days(Rate__c) }}{{ Start__c | days_until(End__c) }}>", "<>");
    check("{{ [1, Rate__c, 2] | sum }}{{ [Rate__c] | max }}{{ [2, Rate__c, 1] | sort | join(',') }}", "31,2,");
    check("{{ not Notes__c }}", "true");
}

#[test]
fn dates_and_moments() {
    check("{{ Start__c }} {{ Renews__c }}", "2026-10-01 2026-10-01T09:00:00.000Z");
    check("{{ Start__c | date('%d.%m.%Y') }} {{ Start__c[:4] }} {{ Start__c > '2026-09-30' }}", "01.10.2026 2026 true");
    check("{{ Renews__c | in_zone('Europe/Berlin') | date('%H:%M') }}", "11:00");
    check("{{ (Renews__c | in_zone('Europe/Berlin')) == Renews__c }}{{ Renews__c <= now }}", "truetrue");
    check("{{ Start__c | add_days(30) }} {{ Start__c | days_until('2026-10-31') }}", "2026-10-31 30");
    check(
        "{{ '2024-02-28' | add_days(1) }} {{ '2026-10-01T23:30:00Z' | add_days(1) }}",
        "2024-02-29 2026-10-02T23:30:00.000Z",
    );
    check("{{ '2026-10-01T23:30:00Z' | in_zone('Asia/Tokyo') | days_until('2026-10-03') }}", "1");
}

#[test]
fn texts() {
    check("{{ Name[1:3] }}{{ Name[-1] }}{{ Name[::-1] }}{{ Name[Seats__c:] }}{{ Name[9] }}", "cmeemcA");
    check("{{ 'a, b' | split(', ') | join(';') }}{{ 'a  b' | split | join('-') }}", "a;ba-b");
    check("{{ 'abcdef' | truncate(4) }}{{ 'abcd' | truncate(length=4) }}", "abc…abcd");
    check("{{ 'a-b' | replace('-', '+') }}{{ 'aaa' | replace('a', 'b', 2) }}", "a+bbba");
    check("{{ '<p>a &amp; b</p>' | striptags }} {{ '&lt;' | unescape }}", "a & b <");
    check(r"{{ '+49 (30) 123' | regex_replace('[^0-9+]', '') }}", "+4930123");
    check(r"{{ 'ab-12' | regex_replace('^(\w+)-(?P<n>\d+)$', '\g<n>/\1') }}", "12/ab");
    check(r"{{ 'ab-12' | regex_match('^[a-z]+-\d+$') }}{{ 'x' | regex_match('y') }}", "truefalse");
    check(
        r"{{ 'ab-12' | regex_search('\d+') }}{{ 'ab-12' | regex_search('([a-z])-', 1) }}{{ 'ab' | regex_search('9') }}",
        "12b",
    );
    check(
        "{{ 'x y&z' | urlencode }} {{ 'hello wORLD-wide' | title }} {{ 'aB' | capitalize }}",
        "x%20y%26z Hello World-Wide Ab",
    );
    check("{{ ' x ' | trim | upper }}{{ '--x-' | trim('-') }}{{ 'ab' * 2 }}{{ 'a\\n' ~ 'b' 'c' }}", "Xxababa\nbc");
    check("{{ Name | first }}{{ Name | last }}{{ Name | reverse }}{{ 12.50 | string }}{{ Paid__c }}", "AeemcA12.5true");
    check("{{ ['b', 'a', 'b'] | unique | sort(reverse=true) | join }}", "ba");
}

#[test]
fn fields_are_found_wherever_they_stand() {
    let source = "{{ A[:3] }}{{ B[C:D.E] }}{{ F | default(G) }}{% if H is containing(I) %}{% endif %}{% for x in J | split(K) if L \
        %}{{ x ~ M }}{% endfor %}{% set n %}{{ N }}{% endset %}{{ {'a': O}[P] }}{{ [Q, -R] }}{{ S if T else U }}{{ V < W < X }}\
        {% filter replace(Y, 'b') %}{% endfilter %}{{ Z['Name'] }}{{ now }}{{ true }}{{ n }}";
    let template = read(source);
    let expected = "A B C D.E F G H I J K L M N O P Q R S T U V W X Y Z.Name";
    let mut paths: Vec<&str> = template.paths().collect();
    paths.sort_unstable();
    assert_eq!(paths.join(" "), expected);
    for (path, place) in template.paths().zip(template.places()) {
        assert_eq!(source[place].replace("['", ".").replace("']", ""), path);
    }
    // A variable ends with its scope.
    assert_eq!(read("{% for x in [1] %}{{ x }}{% endfor %}{{ x }}").paths().collect::<Vec<_>>(), ["x"]);
}

#[test]
fn mistakes_are_found_when_loaded() {
    refused("{{ Name | uper }}", "uper", "did you mean `upper`?");
    refused("{{ Name | nothing_like_it }}", "nothing_like_it", "the guide on templates lists the filters");
    refused("{{ Name | odd }}", "odd", "`odd` is a test");
    refused("{{ Name is evn }}", "evn", "did you mean `even`?");
    refused("{{ Name is upper and Name is trim }}", "trim", "`trim` is a filter");
    refused("{{ Name.upper() }}", "upper", "write the filter `Name | upper`");
    refused("{{ Name.startswith('A') }}", "startswith", "`Name is startingwith('…')`");
    refused("{{ (Name ~ 'x').strip() }}", "strip", "| trim`");
    refused("{{ upper(Name) }}", "upper", "`VALUE | upper`");
    refused("{{ today() }}", "today", "there are `range(…)` and `now`");
    refused("{{ loop.index }}", "loop", "outside of a loop");
    refused("{% for x in [1] %}{{ loop.indx }}{% endfor %}", "indx", "did you mean `index`?");
    refused("{{ Amount__c | round('x') }}", "'x'", "takes a whole number, got the text `x`");
    refused("{{ Amount__c | round(1, 2, 3) }}", "3", "2 arguments at most, got 3");
    refused("{{ Amount__c | round(precison=2) }}", "precison", "did you mean `precision`?");
    refused("{{ Amount__c | round(2, 'up') }}", "Amount__c | round(2, 'up')", "`common`, `ceil` and `floor`");
    refused("{{ Name | default('x', 'yes') }}", "'yes'", "takes `true` or `false`");
    refused("{{ Name | truncate }}", "truncate", "needs the argument `length`");
    refused("{{ Name | truncate(-1) }}", "Name | truncate(-1)", "at least 1");
    refused("{{ Name | upper('x') }}", "'x'", "takes no arguments");
    refused("{{ Start__c | date }}", "date", "needs the argument `format`");
    refused("{{ Start__c | date('%H') }}", "Start__c | date('%H')", "in the form `%H`");
    refused("{{ Renews__c | in_zone('Berlin') }}", "'Berlin'", "there is no time zone `Berlin`");
    refused("{{ Start__c | in_zone('Europe/Berlin') }}", "Start__c", "takes a moment");
    refused("{{ Start__c | add_days(99999999) }}", "Start__c | add_days(99999999)", "out of the years");
    refused("{{ Name | regex_replace('(', '') }}", "'('", "unclosed group");
    refused("{{ Name | regex_replace(Notes__c, '') }}", "Notes__c", "has to stand in the template");
    refused(r"{{ Name | regex_replace('a', '\2') }}", r"Name | regex_replace('a', '\2')", "does not have");
    refused("{{ Name | split('') }}", "Name | split('')", "at least one character");
    refused("{{ Name | map }}", "map", "needs the name of a filter");
    refused("{{ Name | split | map('uper') | join }}", "'uper'", "did you mean `upper`?");
    refused("{{ Amount__c + 'a' }}", "Amount__c + 'a'", "join texts with `~`");
    refused("{{ Name - 1 }}", "Name - 1", "`| float`");
    refused("{{ Start__c + 30 }}", "Start__c + 30", "add_days(30)");
    refused("{{ Start__c - End__c }}", "Start__c - End__c", "days_until(END)");
    refused("{{ Paid__c + 1 }}", "Paid__c + 1", "`| int`");
    refused("{{ Name > 5 }}", "Name > 5", "make a number of the text");
    refused("{{ Start__c > '01.10.2026' }}", "'01.10.2026'", "write dates as `2026-10-01`");
    refused("{{ Paid__c == 'true' }}", "Paid__c == 'true'", "without quotes");
    refused("{% if Seats__c != '5' %}{% endif %}", "Seats__c != '5'", "never equal");
    refused("{{ 5 in Seats__c }}", "5 in Seats__c", "looks for a text in a text");
    refused("{{ 'a' + 1 }}", "'a' + 1", "takes two numbers");
    refused("{{ 1 / 0 }}", "1 / 0", "divides by zero");
    refused("{{ Amount__c / 0 }}{{ Amount__c % 0.0 }}", "Amount__c / 0", "divides by zero");
    refused("{{ Amount__c ** 0.5 }}", "Amount__c ** 0.5", "whole exponent");
    refused("{{ 10 ** 100000 }}", "10 ** 100000", "more than 100 digits");
    refused("{{ 'x' * 1000000000 }}", "'x' * 1000000000", "262148 bytes");
    refused("{% for x in range(1000000000) %}{% endfor %}", "range(1000000000)", "1,000 items");
    refused("{{ [1, 'a'] | sort | join }}", "[1, 'a'] | sort", "values of one kind");
    refused("{{ Amount__c[:3] }}", "Amount__c", "make a text of it first");
    refused("{{ Name['first'] }}{{ Name[0]['a'] }}", "'a'", "`[0]` is the first");
    refused("{{ Channels__c | split(';') }}", "Channels__c | split(';')", "join it");
    refused("{% for c in Channels__c %}{% endfor %}", "Channels__c", "split a text into a list");
    refused("{{ Channels__c | split(';') | upper }}", "Channels__c | split(';')", "join a list to a text");
    refused("{% for c in Channels__c | split(';') %}{{ c - 1 }}{% endfor %}", "c - 1", "`| float`");
}

#[test]
fn text_that_is_no_template_is_told_with_its_place() {
    refused("{{ Name", "{{", "close it with `}}`");
    refused("{% if Name %}x", "", "`{% elif %}` or `{% else %}` or `{% endif %}`");
    refused("{% endif %}", "endif", "outside of its statement");
    refused("{% iff Name %}", "iff", "did you mean `if`?");
    refused("{% include 'x' %}", "include", "stands alone");
    refused("{% macro m() %}{% endmacro %}", "macro", "stands alone");
    refused("{% if Name = 'x' %}{% endif %}", "=", "compared with `==`");
    refused("{{ Name && Notes__c }}", "&&", "write `and`");
    refused("{{ Name Notes__c }}", "Notes__c", "expected an operator");
    refused("{{ Name, Notes__c }}", ",", "`[a, b]`");
    refused("{{ 'x }}", "'", "close it with `'`");
    refused("{{ }}", "}}", "expected a value");
    refused("{{ 12abc }}", "12", "followed by a letter");
    refused("{# x", "{#", "close it with `#}`");
    refused("{% raw %}x", "{% raw %}", "{% endraw %}");
    let brackets = format!("{{{{ {} }}}}", "(".repeat(5_000));
    assert!(Template::read(&brackets).unwrap_err().message.contains("levels deep"));
    for chain in ["+ 1 ", "| trim ", "or 1 ", "[0]", "** 1 ", "if 1 else 1 "] {
        let long = format!("{{{{ 'a' {} }}}}", chain.repeat(5_000));
        assert!(Template::read(&long).is_err(), "{chain}");
    }
    let statements = "{% if 1 %}".repeat(5_000);
    assert!(Template::read(&statements).is_err());
}

#[test]
fn an_error_names_the_expression_and_the_kind_of_the_value() {
    fails(
        "{{ Name | date('%d') }}",
        "`Name | date('%d')`: `date` takes a date such as `2026-10-01` or a moment, got the text `Acme`",
    );
    fails("{{ Name | int }}", "`Name | int`: `int` takes a number, got the text `Acme`: give what it becomes instead");
    fails("{{ 100 / (Seats__c - 12) }}", "`100 / (Seats__c - 12)`: `/` divides by zero");
    fails("{{ Name | round(2) }}", "`round` takes a number, got the text `Acme`");
    check("{{ Name | int(0) }}{{ Name | float(-1) }}", "0-1");
}

#[test]
fn a_pattern_that_reads_on_for_each_match_comes_to_an_end() {
    let long = "{% set a = 'a' * 60000 %}";
    for pattern in [".*;|[a-z]", "a(.*;)?", "(?s)a(?:.*x|)", "(a+;)*a{0,1}"] {
        let error = render(&format!("{long}{{{{ a | regex_replace('{pattern}', 'b') }}}}")).unwrap_err();
        assert!(error.contains("steps") && error.contains("reads on far beyond each place"), "{pattern}: {error}");
    }
    // As many matches in as long a text, by patterns that read what they match.
    let words = "{% set a = 'ab, <i>ü</i>  ' * 4000 %}";
    for (pattern, length) in [(r"\s+", "44000"), ("<[^>]*>", "28000"), (r"\b\w+\b", "36000"), ("[^a-z]", "16000")] {
        let template = format!("{words}{{{{ a | regex_replace('{pattern}', '') | length }}}}");
        assert_eq!(render(&template).as_deref(), Ok(length), "{pattern}");
    }
}

#[test]
fn nothing_grows_beyond_its_bound() {
    let all = "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
    refused(all, "range(1000)", "steps");
    assert!(render("{% for a in range(1000) %}{{ Name * 1000 }}{% endfor %}").unwrap_err().contains("bytes"));
    let doubled = "{% set a = Name %}".to_owned() + &"{% set a = a ~ a %}".repeat(60) + "{{ a | length }}";
    assert!(render(&doubled).unwrap_err().contains("bytes"));
    let lists = "{% set a = [Name] %}".to_owned() + &"{% set a = a + a %}".repeat(60) + "{{ a | length }}";
    assert!(render(&lists).unwrap_err().contains("steps"));
    let nested = "{% set a = [Name] %}".to_owned() + &"{% set a = [a, a] %}".repeat(60) + "{{ a == a }}";
    assert!(render(&nested).unwrap_err().contains("levels deep"));
    let compared = "{% set a = [Name] %}".to_owned() + &"{% set a = [a, a, a, a] %}".repeat(14) + "{{ a == a }}";
    assert!(render(&compared).unwrap_err().contains("steps"));
    let large = "{% set a = Name * 50000 %}";
    for end in [
        "{{ a | replace('A', a) }}",
        "{{ [a, a, a] | join(a) }}",
        "{{ 1e90 | thousands(a) }}",
        "{{ a | urlencode | urlencode }}{{ a | regex_replace('A', 'xxxxxxxx') }}",
        "{{ a * 2 }}",
        "{{ a ~ a }}",
        "{{ a | split('A') | join(a) }}",
    ] {
        let error = render(&format!("{large}{end}")).unwrap_err();
        assert!(error.contains("bytes") || error.contains("steps"), "{end}: {error}");
    }
    assert!(render("{{ Start__c | date('%999999999d') }}").is_err());
    check("{{ 0.5 ** 1000000 }}{{ 1.0 ** 1000000000 }}", "01");
}

#[test]
fn the_deepest_template_that_is_taken_is_carried_out() {
    let parentheses = format!("{{{{ {}Name{} }}}}", "(".repeat(28), ")".repeat(28));
    check(&parentheses, "Acme");
    check(&format!("{{{{ Name{} }}}}", " | trim".repeat(60)), "Acme");
    check(&format!("{{{{ 0{} }}}}", " + 1".repeat(60)), "60");
    let nested = "{% if Name %}".repeat(28) + &format!("{{{{ 0{} }}}}", " + 1".repeat(60)) + &"{% endif %}".repeat(28);
    check(&nested, "60");
}

/// Whatever stands in a template, it is refused or carried out.
#[test]
fn no_text_ends_in_a_panic() {
    let pieces = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "-",
        "+",
        " ",
        "\n",
        "if",
        "else",
        "elif",
        "endif",
        "for",
        "in",
        "endfor",
        "set",
        "x",
        "=",
        "==",
        "Name",
        "Seats__c",
        "Notes__c",
        ".",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ":",
        ",",
        "|",
        "is",
        "not",
        "and",
        "'a'",
        "'",
        "\"",
        "\\",
        "é",
        "1",
        "0",
        "1e99",
        "0.5",
        "*",
        "**",
        "/",
        "//",
        "%",
        "~",
        "<",
        "upper",
        "round",
        "split",
        "join",
        "default",
        "regex_replace",
        "map",
        "date",
        "loop",
        "index",
        "range",
        "now",
        "none",
        "true",
        "raw",
        "endraw",
        "with",
        "endwith",
        "filter",
        "endfilter",
        "&amp;",
    ];
    let mut seed = 11_u64;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut carried_out = 0;
    for _ in 0..20_000 {
        let count = 1 + next(8);
        let inner: Vec<&str> = (0..count).map(|_| pieces[next(pieces.len())]).collect();
        let source = match next(3) {
            0 => inner.concat(),
            1 => format!("{{{{ {} }}}}", inner.join(" ")),
            _ => format!("{{% if {} %}}{{{{ Name | {} }}}}{{% endif %}}", inner.join(" "), pieces[next(pieces.len())]),
        };
        let Ok(template) = Template::read(&source) else { continue };
        let kinds: Vec<_> = template.paths().map(|path| field(path).map(|(_, kind, _)| kind.clone())).collect();
        for error in template.check(&kinds) {
            assert!(source.get(error.span.clone()).is_some(), "{source}: {error:?}");
        }
        let fields: Vec<_> =
            template.paths().map(|path| field(path).map_or((&F::String, None), |field| (&field.1, field.2))).collect();
        carried_out += usize::from(template.render(fields.into_iter(), NOW).is_ok());
    }
    assert!(carried_out > 500, "only {carried_out} could be carried out");
}

#[test]
fn both_apis_render_alike() {
    let template = read("{{ C }}");
    for text in ["2026-10-01T09:00:00.000+0000", "2026-10-01T09:00:00.000Z"] {
        let rendered = template.render([(&F::DateTime, Some(text))].into_iter(), NOW);
        assert_eq!(rendered.as_deref(), Ok("2026-10-01T09:00:00.000Z"));
    }
}
