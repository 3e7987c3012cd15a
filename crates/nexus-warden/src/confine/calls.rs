//! seccomp: which system calls a confined process has to do without.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::protocol::Network;

/// Never needed by a program that minds its own business: they reach other processes, the kernel, or the machine.
const REFUSED: &[i64] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_settimeofday,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// `CLONE_NEW*`: cgroup, uts, ipc, user, pid, net, mount, time.
const NAMESPACES: [u64; 8] =
    [0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0002_0000, 0x80];
/// What types into a terminal in somebody else's place.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Installs the filters for this process and all that it starts.
pub(super) fn restrict(alone: bool, network: Network) -> io::Result<()> {
    // The first says ENOSYS to what programs have another way for, the second EPERM to the rest.
    let without = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    for (rules, errno, is_first) in [(without, libc::ENOSYS, true), (refused(alone, network)?, libc::EPERM, false)] {
        let program = compile(rules, errno, is_first)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refused(alone: bool, network: Network) -> io::Result<Rules> {
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let flags = NAMESPACES.map(|flag| rule(&[(0, SeccompCmpOp::MaskedEq(flag), flag, SeccompCmpArgLen::Qword)]));
    rules.insert(libc::SYS_clone, flags.into_iter().collect::<io::Result<_>>()?);
    let typing = TYPING.map(|request| rule(&[(1, SeccompCmpOp::Eq, request, SeccompCmpArgLen::Dword)]));
    rules.insert(libc::SYS_ioctl, typing.into_iter().collect::<io::Result<_>>()?);
    // Of the families only those of everyday use. Where nothing else stands between an agent and the sockets that lie
    // about in the file system (Docker's, the session bus), it makes none to reach them by.
    let mut families = vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    if !alone {
        families.push(libc::AF_UNIX);
    }
    let sockets = if alone && network != Network::Full { Vec::new() } else { vec![others(&families)?] };
    rules.insert(libc::SYS_socket, sockets);
    Ok(rules)
}

fn others(families: &[i32]) -> io::Result<SeccompRule> {
    let differs = |family: &i32| (0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()), SeccompCmpArgLen::Dword);
    rule(&families.iter().map(differs).collect::<Vec<_>>())
}

fn rule(conditions: &[(u8, SeccompCmpOp, u64, SeccompCmpArgLen)]) -> io::Result<SeccompRule> {
    let condition = |(arg, op, value, length): &(u8, SeccompCmpOp, u64, SeccompCmpArgLen)| {
        SeccompCondition::new(*arg, length.clone(), op.clone(), *value).map_err(io::Error::other)
    };
    let conditions = conditions.iter().map(condition).collect::<io::Result<_>>()?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn compile(rules: Rules, errno: i32, is_first: bool) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(io::Error::other)?;
    let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    Ok(if is_first && cfg!(target_arch = "x86_64") { X32.into_iter().chain(program).collect() } else { program })
}

/// Calls of the x32 form have the architecture of the others and numbers of their own, which no rule knows: there are none
/// for a confined process. Loads the number; if it has x32's bit, answers ENOSYS, else goes on with what follows.
const X32: [sock_filter; 3] = [
    sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 },
    sock_filter { code: 0x35, jt: 0, jf: 1, k: 0x4000_0000 },
    sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x0005_0000 | 38 },
];
