//! seccomp: which system calls a confined process has to do without.

use std::collections::BTreeMap;
use std::io;

use landlock::ABI;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::Walls;
use crate::protocol::Network;

mod numbers;

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
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
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
/// The requests that type into a terminal in somebody else's place.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Installs the filters for this process and all that it starts. Of Landlock this version holds it.
pub(super) fn restrict(walls: Walls, network: Network, landlock: ABI) -> io::Result<()> {
    // The kernel runs a filter for every call that there is when it is installed: by a tree that takes a tenth of the time of a
    // list. What depends on arguments is a list, and a short one.
    let by_number = numbers::filter(REFUSED)?;
    let by_arguments = compile(refused(walls, network, landlock)?)?;
    for program in [by_number, by_arguments] {
        seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn refused(walls: Walls, network: Network, landlock: ABI) -> io::Result<Rules> {
    let mut rules = Rules::new();
    let mut refuse = |call, when: &[&[Condition]]| -> io::Result<()> {
        rules.insert(call, when.iter().map(|conditions| rule(conditions)).collect::<io::Result<_>>()?);
        Ok(())
    };
    let namespaces = NAMESPACES.map(|flag| [(0, MaskedEq(flag), flag, Qword)]);
    refuse(libc::SYS_clone, &namespaces.each_ref().map(|flag| &flag[..]))?;
    let typing = TYPING.map(|request| [(1, Eq, request, Dword)]);
    refuse(libc::SYS_ioctl, &typing.each_ref().map(|request| &request[..]))?;
    // Asking which one is in force, or for the usual one, harms nobody.
    refuse(libc::SYS_personality, &[&[(0, Ne, 0, Dword), (0, Ne, ALL, Dword)]])?;

    // Of the families only those of everyday use; of netlink only what tells a program its addresses.
    let [unix, inet, inet6, netlink] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK]
        .map(|family| (0, Ne, u64::from(family.unsigned_abs()), Dword));
    let more: &[Condition] = &[(0, Eq, netlink.2, Dword), (2, Ne, 0, Dword)];
    // Landlock can't keep abstract sockets of the machine's own network from it in these versions.
    let are_sockets_guarded = walls.network || landlock >= ABI::V6;
    if walls.files && are_sockets_guarded {
        refuse(libc::SYS_socket, &[&[unix, inet, inet6, netlink], more])?;
        return Ok(rules);
    }
    // Nothing else stands between the agent and the sockets that lie about in the file system (Docker's, the session bus) or
    // have abstract names: it makes none to reach them by. Those of a pair are connected, but for datagrams, which go wherever they are sent.
    if network == Network::Full || walls.network {
        refuse(libc::SYS_socket, &[&[inet, inet6, netlink], more])?;
    } else {
        refuse(libc::SYS_socket, &[])?;
    }
    refuse(
        libc::SYS_socketpair,
        &[DATAGRAM, RAW].map(|kind| [(1, MaskedEq(0xf), kind, Dword)]).each_ref().map(|kind| &kind[..]),
    )?;
    if !walls.processes {
        // The limits of others.
        refuse(libc::SYS_prlimit64, &[&[(0, Ne, 0, Dword)]])?;
        if landlock < ABI::V6 {
            // One by one, this kernel lets it signal others of the same user; but not all of them at once.
            refuse(libc::SYS_kill, &[&[(0, Eq, ALL, Dword)]])?;
        }
    }
    if !walls.files && landlock < ABI::V3 {
        // By path, which Landlock doesn't look at in these versions. What may be written can be opened and cut.
        refuse(libc::SYS_truncate, &[])?;
    }
    Ok(rules)
}

/// -1, as the kernel sees it in an `int`.
const ALL: u64 = 0xffff_ffff;
/// Kinds of sockets; of Unix's a raw one is one of datagrams too.
const DATAGRAM: u64 = 2;
const RAW: u64 = 3;

/// The argument's number, how it is compared, and with what.
type Condition = (u8, SeccompCmpOp, u64, SeccompCmpArgLen);

fn rule(conditions: &[Condition]) -> io::Result<SeccompRule> {
    let condition = |(arg, op, value, length): &Condition| {
        SeccompCondition::new(*arg, length.clone(), op.clone(), *value).map_err(io::Error::other)
    };
    let conditions = conditions.iter().map(condition).collect::<io::Result<_>>()?;
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn compile(rules: Rules) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let action = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}
