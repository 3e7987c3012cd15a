use super::*;
use crate::units::Size;

fn no(why: &str) -> Option<String> {
    Some(why.to_owned())
}

fn all() -> Means {
    Means { network: true, memory: true, processes: true, cpu: true, ..Means::default() }
}

fn bare() -> Means {
    Means { namespaces: no("no bwrap"), landlock: no("an old kernel"), ..Means::default() }
}

fn landlock() -> Means {
    Means { namespaces: no("no bwrap"), ..Means::default() }
}

fn level(level: SandboxLevel) -> Sandbox {
    Sandbox { level: Some(level), ..Sandbox::default() }
}

#[track_caller]
fn check(means: &Means, sandbox: &Sandbox, expected: Result<Option<SandboxTier>, &str>) {
    match (means.plan(sandbox, &Limits::default()), expected) {
        (Ok(plan), Ok(tier)) => assert_eq!(plan.sandbox, tier),
        (Err(said), Err(part)) => assert!(said.contains(part), "{said}"),
        (found, expected) => panic!("{found:?} is not {expected:?}"),
    }
}

#[test]
fn the_strongest_that_there_is_or_what_was_asked_for_or_nothing() {
    use SandboxTier::{Landlock, Namespaces};
    check(&all(), &Sandbox::default(), Ok(Some(Namespaces)));
    check(&landlock(), &Sandbox::default(), Ok(Some(Landlock)));
    check(&bare(), &Sandbox::default(), Ok(None));
    check(&all(), &level(SandboxLevel::None), Ok(None));
    check(&landlock(), &level(SandboxLevel::Confined), Ok(Some(Landlock)));
    check(&bare(), &level(SandboxLevel::Confined), Err("no bwrap; an old kernel"));
}

#[test]
fn what_is_demanded_is_never_left_out() {
    let minimum = |tier| Sandbox { minimum: Some(tier), ..Sandbox::default() };
    check(&landlock(), &minimum(SandboxTier::Landlock), Ok(Some(SandboxTier::Landlock)));
    check(&landlock(), &minimum(SandboxTier::Namespaces), Err("sandbox.minimum"));
    check(&all(), &minimum(SandboxTier::Container), Err("sandbox.level"));
    check(&bare(), &level(SandboxLevel::Container), Ok(Some(SandboxTier::Container)));
    check(&bare(), &minimum(SandboxTier::Landlock), Err("sandbox.minimum"));
    let network = |network| Sandbox { network, ..Sandbox::default() };
    check(&bare(), &network(Network::None), Err("sandbox.network"));
    check(&landlock(), &network(Network::None), Ok(Some(SandboxTier::Landlock)));
    check(&landlock(), &network(Network::Hosts(vec![])), Err("a network of its own"));
    check(&all(), &network(Network::Agent), Ok(Some(SandboxTier::Namespaces)));
}

#[test]
fn limits_say_by_what_they_are_held() {
    let limits = Limits { memory: Some(Size::from_bytes(1 << 30)), ..Limits::default() };
    let plan = |means: &Means, limits: &Limits| means.plan(&level(SandboxLevel::None), limits).map(|plan| plan.limits);
    assert_eq!(plan(&all(), &limits), Ok(LimitsTier::Cgroup));
    assert_eq!(plan(&bare(), &limits), Ok(LimitsTier::Sampled));
    assert_eq!(plan(&bare(), &Limits::default()), Ok(LimitsTier::Cgroup));
    let strict = Limits { minimum: Some(LimitsTier::Cgroup), ..limits };
    assert!(plan(&bare(), &strict).unwrap_err().contains("limits.memory"));
    assert_eq!(plan(&all(), &strict), Ok(LimitsTier::Cgroup));
}

#[test]
fn layers_are_mounted_where_the_attempt_alone_may_see_them() {
    use SandboxTier::{Container, Landlock, Namespaces};
    // Confined how, and whether overlays are trusted: for a command, for a coding agent, for one that speaks ACP.
    for (sandbox, trusted_overlays, expected) in [
        (None, false, [false, false, false]),
        (None, true, [true, true, false]),
        (Some(Landlock), false, [true, true, false]),
        (Some(Landlock), true, [true, true, false]),
        (Some(Namespaces), false, [true, true, false]),
        (Some(Namespaces), true, [true, true, false]),
        (Some(Container), false, [false, false, false]),
        (Some(Container), true, [false, false, false]),
    ] {
        let plan = Plan { sandbox, limits: LimitsTier::Cgroup, trusted_overlays };
        let found = [AgentKind::Command, AgentKind::Claude, AgentKind::Acp].map(|kind| plan.mounts_layers(kind));
        assert_eq!(found, expected, "{plan:?}");
    }
    // A plan knows what the machine can do.
    let means = Means { trusted_overlays: true, ..bare() };
    assert!(means.plan(&Sandbox::default(), &Limits::default()).unwrap().mounts_layers(AgentKind::Command));
    assert!(!bare().plan(&Sandbox::default(), &Limits::default()).unwrap().mounts_layers(AgentKind::Command));
}
