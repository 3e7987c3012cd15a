/* The floor of running tasks: posix_spawn and wait, so many at once. Prints JSON.
 *   spawn COUNT AT_ONCE PROGRAM [ARGUMENT]... */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int count = atoi(argv[1]), at_once = atoi(argv[2]), started = 0, ended = 0;
    pid_t *pids = calloc(at_once, sizeof *pids);
    double *since = calloc(at_once, sizeof *since), *took = calloc(count, sizeof *took);
    if (!pids || !since || !took) return 1;
    double begun = now();
    while (ended < count) {
        for (int i = 0; i < at_once && started < count; i++) {
            if (pids[i]) continue;
            since[i] = now();
            if (posix_spawn(&pids[i], argv[3], NULL, NULL, argv + 3, environ)) return 1;
            started++;
        }
        int status;
        pid_t pid = wait(&status);
        if (pid < 0 || status) return 1;
        for (int i = 0; i < at_once; i++)
            if (pids[i] == pid) {
                took[ended++] = now() - since[i];
                pids[i] = 0;
                break;
            }
    }
    double whole = now() - begun;
    qsort(took, count, sizeof *took, ascending);
    printf("{\"count\": %d, \"rate\": %f, \"p50\": %f, \"p99\": %f}\n", count, count / whole,
           took[(count - 1) / 2] * 1e6, took[(count - 1) * 99 / 100] * 1e6);
    return 0;
}
