//! A filter that refuses system calls by their numbers alone, whatever the arguments.

use std::io;

use seccompiler::{BpfProgram, sock_filter};

/// Refuses these calls with EPERM, `clone3` with ENOSYS, as programs have another way for it, and all calls of the x32 form
/// likewise. A call of another architecture ends the process.
pub(super) fn filter(refused: &[i64]) -> io::Result<BpfProgram> {
    let mut calls = refused.iter().map(|call| (*call, libc::EPERM)).collect::<Vec<_>>();
    calls.push((libc::SYS_clone3, libc::ENOSYS));
    let mut numbers = Vec::with_capacity(calls.len());
    for (call, errno) in calls {
        numbers.push((u32::try_from(call).map_err(io::Error::other)?, errno.unsigned_abs()));
    }
    numbers.sort_unstable();
    numbers.dedup_by_key(|(call, _)| *call);
    let mut program = vec![load(ARCH_AT), jump(EQUAL, ARCH, 1, 0), give(KILL), load(NUMBER_AT)];
    if cfg!(target_arch = "x86_64") {
        // They have the architecture of the others, and numbers of their own.
        program.extend([jump(AT_LEAST, X32, 0, 1), give(ERRNO | libc::ENOSYS.unsigned_abs())]);
    }
    program.extend(tree(&numbers)?);
    Ok(program)
}

/// Finds a number among sorted ones, by halves.
fn tree(numbers: &[(u32, u32)]) -> io::Result<BpfProgram> {
    let (low, high) = numbers.split_at(numbers.len() / 2);
    match (low, high) {
        ([], []) => Ok(vec![give(ALLOW)]),
        ([], [(call, errno), ..]) => Ok(vec![jump(EQUAL, *call, 0, 1), give(ERRNO | errno), give(ALLOW)]),
        (_, [(middle, _), ..]) => {
            let (low, high) = (tree(low)?, tree(high)?);
            let over = u8::try_from(low.len()).map_err(io::Error::other)?;
            Ok([vec![jump(AT_LEAST, *middle, over, 0)], low, high].concat())
        }
        (_, []) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

// `linux/bpf_common.h`, `linux/seccomp.h`, `linux/audit.h`.
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL: u32 = 0x8000_0000;
const X32: u32 = 0x4000_0000;
const NUMBER_AT: u32 = 0;
const ARCH_AT: u32 = 4;
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCH: u32 = 0xc000_00f3;

const fn load(at: u32) -> sock_filter {
    sock_filter { code: 0x20, jt: 0, jf: 0, k: at }
}

const fn jump(code: u16, value: u32, then: u8, otherwise: u8) -> sock_filter {
    sock_filter { code, jt: then, jf: otherwise, k: value }
}

const fn give(answer: u32) -> sock_filter {
    sock_filter { code: 0x06, jt: 0, jf: 0, k: answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The filter's answer to a call, by the few instructions that it is made of.
    fn answer(program: &[sock_filter], arch: u32, call: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let instruction = &program[at];
            at += 1;
            let holds = match instruction.code {
                0x20 => {
                    value = if instruction.k == ARCH_AT { arch } else { call };
                    continue;
                }
                EQUAL => value == instruction.k,
                AT_LEAST => value >= instruction.k,
                _ => return instruction.k,
            };
            at += usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    #[test]
    fn the_calls_that_are_named_are_refused_and_no_others() {
        let named = [libc::SYS_mount, libc::SYS_setns, libc::SYS_bpf, libc::SYS_ptrace, libc::SYS_mount];
        let program = filter(&named).unwrap();
        for call in 0..1000 {
            let expected = match i64::from(call) {
                libc::SYS_clone3 => ERRNO | 38,
                number if named.contains(&number) => ERRNO | 1,
                _ => ALLOW,
            };
            assert_eq!(answer(&program, ARCH, call), expected, "{call}");
        }
        assert_eq!(answer(&program, ARCH + 1, 39), KILL);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(answer(&program, ARCH, X32 + 39), ERRNO | 38);
    }
}
