//! `eksd`, which every prompt program and every `kubectl` starts, holds no AWS SDK, no HTTP and no
//! async runtime: neither in what it is built from nor in what the linker kept.

use std::{fs, process::Command};

use crate::source::root;

/// Parts of names that give away what must not be there.
const HEAVY: [&str; 6] = ["tokio", "aws_sdk", "aws_smithy", "aws_config", "hyper", "rustls"];

#[test]
fn nothing_heavy_is_in_its_tree() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package=eksd", "--no-default-features", "--edges=normal"])
        .args(["--prefix=none", "--format={lib}", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.lines().any(|line| line == "rustix"), "not a tree: {tree}");
    let heavy: Vec<&str> = tree
        .lines()
        .filter(|name| HEAVY.iter().any(|part| name.contains(part)) || name.starts_with("aws_"))
        .collect();
    assert!(heavy.is_empty(), "the client's tree holds {heavy:?}");
}

/// The client is built beside the agent here, from one library with everything in it: so this is
/// about what the linker kept.
#[cfg(target_os = "linux")]
#[test]
fn nothing_heavy_was_linked() {
    let binary = fs::read(env!("CARGO_BIN_EXE_eksd")).unwrap();
    let names = function_names(&binary);
    assert!(names.iter().any(|name| name.contains("eksd3cli")), "no symbols of our own were found");
    let heavy: Vec<&&str> =
        names.iter().filter(|name| HEAVY.iter().any(|part| name.contains(part))).collect();
    let some = &heavy[..heavy.len().min(10)];
    assert!(heavy.is_empty(), "the client holds {} heavy functions: {some:#?}", heavy.len());

    // The same look at the agent finds them: the test can fail.
    let agent = fs::read(env!("CARGO_BIN_EXE_eksd-agent")).unwrap();
    let names = function_names(&agent);
    for part in ["tokio", "aws_smithy"] {
        assert!(names.iter().any(|name| name.contains(part)), "`{part}` is not in the agent");
    }
}

/// Returns the names of the functions in a 64-bit little-endian ELF file (System V ABI, chapter 4:
/// the header's `e_shoff`, the section headers' `sh_type`, `sh_offset`, `sh_size` and `sh_link`, the
/// symbols' `st_name` and `st_info`). Names of source files stay when nothing else of them does.
#[cfg(target_os = "linux")]
fn function_names(elf: &[u8]) -> Vec<&str> {
    const SYMBOL_TABLE: u64 = 2;
    const HEADER: usize = 64;
    const SYMBOL: usize = 24;
    const FUNCTION: u8 = 2;
    let number = |at: usize, size: usize| -> u64 {
        elf[at..at + size].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    let place = |at: usize| usize::try_from(number(at, 8)).unwrap();
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "not a 64-bit little-endian ELF file");
    let (sections, count) = (place(0x28), usize::try_from(number(0x3c, 2)).unwrap());
    let section = |index: usize| sections + index * HEADER;
    let table = (0..count)
        .map(section)
        .find(|at| number(at + 4, 4) == SYMBOL_TABLE)
        .expect("the binary is not stripped");
    let strings = section(usize::try_from(number(table + 40, 4)).unwrap());
    let strings = &elf[place(strings + 24)..][..place(strings + 32)];
    elf[place(table + 24)..][..place(table + 32)]
        .chunks_exact(SYMBOL)
        .filter(|symbol| symbol[4] & 0xf == FUNCTION)
        .filter_map(|symbol| {
            let start = u32::from_le_bytes(symbol[..4].try_into().unwrap());
            let name = &strings[usize::try_from(start).unwrap()..];
            let end = name.iter().position(|byte| *byte == 0)?;
            std::str::from_utf8(&name[..end]).ok()
        })
        .collect()
}
