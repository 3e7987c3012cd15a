/* Reads what `lines` has printed, and prints as JSON how many lines came a second and how late.
 *   lines 1000@0 | cat | sink 1000 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0, read = 0;
    double *late = calloc(count + 1, sizeof *late), first = 0, last = 0;
    char line[256];
    if (!late) return 1;
    while (read < count && fgets(line, sizeof line, stdin)) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        line[19] = 0;
        long long written = atoll(line);
        last = t.tv_sec * 1e9 + t.tv_nsec;
        if (!read) first = written;
        late[read++] = (t.tv_sec * 1000000000LL + t.tv_nsec - written) / 1e3;
    }
    if (!read) return 1;
    qsort(late, read, sizeof *late, ascending);
    printf("{\"count\": %ld, \"lost\": %ld, \"rate\": %f, \"p50\": %f, \"p99\": %f}\n", read, count - read,
           read / ((last - first) / 1e9), late[(read - 1) / 2], late[(read - 1) * 99 / 100]);
    return 0;
}
