//! The bindings, compared with the headers that they were written from.

use std::fmt::Write as _;
use std::fs;

use countersign_testkit::Program;

/// The numbers that stand in a source, by their names there.
fn numbers(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut documented = None;
    for line in source.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("/// `PAM_") {
            documented = name.strip_suffix('`');
        } else if let Some(name) = documented.take() {
            let (_, number) = line.rsplit_once("= ").expect("a number");
            let number = number.trim_end_matches([';', ',']);
            found.push((format!("PAM_{name}"), number.to_owned()));
        }
    }
    found
}

#[test]
fn numbers_and_layouts_are_those_of_the_headers() {
    let code = numbers(include_str!("../../src/code.rs"));
    let raw = numbers(include_str!("../../src/ffi/raw.rs"));
    assert_eq!((code.len(), raw.len()), (7, 12));
    let mut source = String::from(
        "#include <security/pam_modules.h>\n\
         #include <security/pam_ext.h>\n\
         #include <stddef.h>\n\
         _Static_assert(offsetof(struct pam_message, msg_style) == 0, \"\");\n\
         _Static_assert(offsetof(struct pam_message, msg) == sizeof(char *), \"\");\n\
         _Static_assert(offsetof(struct pam_response, resp) == 0, \"\");\n\
         _Static_assert(sizeof(struct pam_response) == 2 * sizeof(char *), \"\");\n\
         _Static_assert(offsetof(struct pam_conv, conv) == 0, \"\");\n\
         _Static_assert(offsetof(struct pam_conv, appdata_ptr) == sizeof(char *), \"\");\n\
         int (*get_item)(const pam_handle_t *, int, const void **) = pam_get_item;\n\
         int (*get_user)(pam_handle_t *, const char **, const char *) = pam_get_user;\n\
         const char *(*get_variable)(pam_handle_t *, const char *) = pam_getenv;\n\
         void (*log_line)(const pam_handle_t *, int, const char *, ...) = pam_syslog;\n",
    );
    for (name, number) in code.iter().chain(&raw) {
        let _ = writeln!(source, "_Static_assert({name} == {number}, \"{name}\");");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("headers.c");
    fs::write(&file, source).unwrap();
    let compiled = Program::new("cc")
        .args(["-Wall", "-Werror", "-fsyntax-only"])
        .arg(&file)
        .run();
    assert_eq!(compiled.code(), Some(0), "{}", compiled.stderr);
}
