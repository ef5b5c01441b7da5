//! usage: peer-rust anonymous|named COUNT DIR: the same as bench/tempfile.c, by the crate tempfile.

use std::{env, fs, io};

/// User and system time of this process in nanoseconds; /proc has it in nanoseconds, too.
fn cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/self/schedstat").expect("/proc");
    text.split(' ').next().unwrap().parse().expect("a number")
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().collect();
    let count: u64 = arguments[2].parse().expect("COUNT is a number");
    let directory = &arguments[3];
    let begin = cpu_ns();
    for _ in 0..count {
        match arguments[1].as_str() {
            "anonymous" => drop(tempfile::tempfile_in(directory)?),
            _ => tempfile::NamedTempFile::new_in(directory)?.close()?,
        }
    }
    println!("{}", (cpu_ns() - begin) / count);
    Ok(())
}
