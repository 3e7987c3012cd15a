/* The floor of running tasks: posix_spawn and wait, so many at once. Prints JSON.
 *   spawn COUNT AT_ONCE PROGRAM [ARGUMENT]...
 *
 * A thread for each that is at once: posix_spawn holds its caller until the child has called exec, so a single thread would
 * use one processor, and be a floor that a queue with several workers can beat (measured: 870/s against 2,600/s). */
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static char **command;
static int count, begun_so_far;
static double *took;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void *work(void *unused) {
    for (int i; (i = __atomic_fetch_add(&begun_so_far, 1, __ATOMIC_RELAXED)) < count;) {
        pid_t pid;
        int status;
        double begun = now();
        if (posix_spawn(&pid, command[0], NULL, NULL, command, environ)) exit(1);
        if (waitpid(pid, &status, 0) != pid || status) exit(1);
        took[i] = now() - begun;
    }
    return unused;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    int at_once = atoi(argv[2]);
    count = atoi(argv[1]);
    command = argv + 3;
    pthread_t *threads = calloc(at_once, sizeof *threads);
    took = calloc(count, sizeof *took);
    if (!threads || !took || count < 1) return 1;
    double begun = now();
    for (int i = 0; i < at_once; i++)
        if (pthread_create(&threads[i], NULL, work, NULL)) return 1;
    for (int i = 0; i < at_once; i++) pthread_join(threads[i], NULL);
    double whole = now() - begun;
    qsort(took, count, sizeof *took, ascending);
    printf("{\"count\": %d, \"rate\": %f, \"p50\": %f, \"p99\": %f}\n", count, count / whole,
           took[(count - 1) / 2] * 1e6, took[(count - 1) * 99 / 100] * 1e6);
    return 0;
}
