/* The least that a process between a runtime and an agent costs: it starts the agent, waits, and says how it ended. Linked
 * statically, as nexus's own warden is.
 *   warden PROGRAM [ARGUMENT]... */
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    pid_t pid;
    int status;
    if (argc < 2 || posix_spawn(&pid, argv[1], 0, 0, argv + 1, environ)) return 127;
    if (waitpid(pid, &status, 0) != pid) return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
