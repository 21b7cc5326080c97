// What `e2e/tests/browser.rs` says in the environment.

export function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; this is run by cargo test --test browser`);
  return value;
}
