//! A child that shares this process's memory until it is a program: a copy of it costs more than all else about a start.
#![expect(unsafe_code, reason = "the C library has no such call, and a new process can be given one address only")]

use std::io;
use std::os::fd::BorrowedFd;

use rustix::process::Pid;

use super::fork::{clone_args, exit};

/// Makes a child that has this process's memory, and not a copy of it: what it allocates and doesn't free before it becomes
/// a program is lost, and what it writes is seen here. Returns when it has become one or has ended.
pub(super) fn vfork(mut child: &mut dyn FnMut(), nest: Option<BorrowedFd<'_>>) -> io::Result<Pid> {
    extern "C" fn run(child: *mut libc::c_void) -> ! {
        // SAFETY: it is the address of `child` of the caller, who does nothing with it before this process is done with it.
        let child = unsafe { &mut *child.cast::<&mut dyn FnMut()>() };
        child();
        exit(127)
    }
    let stack = Stack::new()?;
    let flags = u64::try_from(libc::CLONE_VM | libc::CLONE_VFORK).unwrap_or_default();
    let mut args = clone_args(flags, nest);
    args.stack = stack.whole.addr() as u64;
    args.stack_size = WHOLE as u64;
    // SAFETY: the stack is the child's alone and aligned, grows down from its end, and is guarded at the other. It and all that the child uses outlive
    // the child's use of this memory, as the only thread here stands still until then.
    let pid = unsafe { clone3(&raw const args, size_of::<libc::clone_args>(), run, (&raw mut child).cast()) };
    child_of(pid)
}

/// The child's stack. Whoever overruns it is ended by the guard below it, and writes nowhere else.
struct Stack {
    whole: *mut libc::c_void,
}

/// Bytes of a stack. Untouched ones cost nothing.
const STACK: usize = 256 * 1024;
/// As large as the largest pages.
const GUARD: usize = 64 * 1024;
const WHOLE: usize = GUARD + STACK;

impl Stack {
    fn new() -> io::Result<Self> {
        // SAFETY: it is new memory, of which no address is asked for.
        let whole = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
            libc::mmap(std::ptr::null_mut(), WHOLE, libc::PROT_NONE, flags, -1, 0)
        };
        if whole == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { whole };
        // SAFETY: all of it lies in what was mapped just now, and nobody else has it.
        let opened = unsafe { libc::mprotect(whole.byte_add(GUARD), STACK, libc::PROT_READ | libc::PROT_WRITE) };
        if opened == 0 { Ok(stack) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and whoever used it has become a program or has ended.
        unsafe {
            libc::munmap(self.whole, WHOLE);
        }
    }
}

/// The system call `clone3` for a child with a stack of its own, on which it calls `run` with `child`. What is returned is the
/// kernel's: a pid, or an error's number below zero. (The C library has the call for itself alone, and its `clone` knows no control
/// groups.)
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn clone3(
    args: *const libc::clone_args,
    size: usize,
    run: extern "C" fn(*mut libc::c_void) -> !,
    child: *mut libc::c_void,
) -> i64 {
    // The kernel changes rax, rcx and r11, and leaves the child all others.
    core::arch::naked_asm!(
        "mov r8, rcx",
        "mov eax, {call}",
        "syscall",
        "test rax, rax",
        "jnz 2f",
        "xor ebp, ebp",
        "mov rdi, r8",
        "call rdx",
        "ud2",
        "2:",
        "ret",
        call = const libc::SYS_clone3,
    )
}

/// The same.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn clone3(
    args: *const libc::clone_args,
    size: usize,
    run: extern "C" fn(*mut libc::c_void) -> !,
    child: *mut libc::c_void,
) -> i64 {
    core::arch::naked_asm!(
        "mov x8, {call}",
        "svc #0",
        "cbnz x0, 2f",
        "mov x29, #0",
        "mov x0, x3",
        "blr x2",
        "brk #1",
        "2:",
        "ret",
        call = const libc::SYS_clone3,
    )
}

fn child_of(result: i64) -> io::Result<Pid> {
    if let Ok(errno) = i32::try_from(-result)
        && errno > 0
    {
        return Err(io::Error::from_raw_os_error(errno));
    }
    i32::try_from(result).ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::Other.into())
}
