use super::*;

const FILE: &str = r#"
[[target]]
kind = "cluster"
name = "eu-1"
environment = "prod"
labels = ["crown-jewels"]

[[target]]
kind = "database"
name = "orders"
classification = "pii"
labels = ["orders"]
parent = "cluster/eu-1"
"#;

#[test]
fn a_target_has_what_its_parent_has_and_its_own() {
    let catalogue = Catalogue::parse("targets.toml", FILE).unwrap();
    let orders = catalogue.find("database", "orders").unwrap();
    assert_eq!(orders.environment, "prod");
    assert_eq!(orders.classification, "pii");
    let labels: Vec<&str> = orders.labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["crown-jewels", "orders"]);
    assert_eq!(
        catalogue.find("cluster", "eu-1").unwrap().classification,
        UNKNOWN
    );
}

#[test]
fn targets_are_found_byte_for_byte() {
    let catalogue = Catalogue::parse("targets.toml", FILE).unwrap();
    assert!(catalogue.find("database", "orders").is_some());
    for name in [
        "Orders",
        "orders ",
        " orders",
        "order",
        "orders/",
        "o\u{440}ders",
    ] {
        assert!(catalogue.find("database", name).is_none(), "{name:?}");
    }
    for kind in ["Database", "data", "database/", ""] {
        assert!(catalogue.find(kind, "orders").is_none(), "{kind:?}");
    }
}

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    let cases = [
        (
            "[[target]]\nkind = \"Data base\"\nname = \"x\"\n",
            "t:2:8: a target's `kind`",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"\"\n",
            "t:3:8: a target's `name`",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\nenvironment = \"unknown\"\n",
            "t:4:15: leave",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\nenv = \"prod\"\n",
            "t:4:1: unknown field `env`",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\nparent = \"b\"\n",
            "t:4:10: a `parent`",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\nparent = \"b/c\"\n",
            "t:4:10: the parent `b/c`",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\nparent = \"a/x\"\n",
            "t:4:10: the parents",
        ),
        (
            "[[target]]\nkind = \"a\"\nname = \"x\"\n[[target]]\nkind = \"a\"\nname = \"x\"\n",
            "t:4:1: the a `x` is listed twice",
        ),
    ];
    for (text, expected) in cases {
        let errors = Catalogue::parse("t", text).unwrap_err();
        let error = errors[0].to_string();
        assert!(error.starts_with(expected), "{error}\nfor\n{text}");
    }
}

#[test]
fn all_mistakes_are_told_and_not_the_first_alone() {
    let text = "[[target]]\nkind = \"\"\nname = \"\"\n[[target]]\nkind = \"a\"\nname = \"\"\n";
    assert_eq!(Catalogue::parse("t", text).unwrap_err().len(), 3);
}

#[test]
fn data_is_found_under_each_of_its_kinds_and_unknown_otherwise() {
    let text = "[[target]]\nkind = \"table\"\nname = \"people\"\nclassification = \"pii\"\n";
    let catalogue = Catalogue::parse("t", text).unwrap();
    assert_eq!(catalogue.classification_of_data("people"), "pii");
    assert_eq!(catalogue.classification_of_data("other"), UNKNOWN);
}
