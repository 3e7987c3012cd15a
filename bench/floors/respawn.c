/* The floor of supervision: starts a program again as soon as it has ended, until it is killed itself.
 *   respawn PROGRAM [ARGUMENT]... */
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv) {
    pid_t pid;
    if (argc < 2) return 2;
    for (;;)
        if (posix_spawn(&pid, argv[1], 0, 0, argv + 1, environ) || waitpid(pid, 0, 0) != pid) return 1;
}
