# Everything that a merge needs. `tests/run` does the same from nothing, installing what is missing.
check: fmt lint test deny

# What each recipe does.
default:
    @just --list

# Fails where rustfmt would change something.
fmt:
    cargo fmt --all --check

# Warnings are errors here, and not in the source: a new compiler must not break an old checkout.
lint:
    cargo clippy --workspace --all-targets -- -D warnings
    cargo check --no-default-features --bin eksd
    shellcheck tests/run .ci/run tests/lab/fetch-aws-v2 shell/*.bash benches/prompt

# All tests, then the examples in the documentation.
test:
    cargo nextest run --workspace
    cargo test --workspace --doc

# Licences, banned crates, sources; and advisories, which need the network.
deny:
    cargo deny check

# What a prompt costs, beside an empty function run in alternation.
bench *ARGS:
    benches/prompt {{ARGS}}

# eksd against the lab, in a throw-away home: no AWS account needed.
try *ARGS:
    cargo try {{ARGS}}
