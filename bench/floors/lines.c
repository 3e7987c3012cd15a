/* An agent that prints lines of 100 bytes, each beginning with the time (19 digits, nanoseconds since 1970).
 *   lines COUNT@RATE     RATE lines a second; 0: as many as are taken */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 100, LINES = 640 };

int main(int argc, char **argv) {
    long count, rate, held = 0;
    if (argc < 2 || sscanf(argv[1], "%ld@%ld", &count, &rate) != 2) return 2;
    static char buffer[LINE * LINES];
    struct timespec t, due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long i = 0; i < count; i++) {
        char *line = buffer + LINE * held++;
        memset(line, 'x', LINE - 1);
        line[LINE - 1] = '\n';
        clock_gettime(CLOCK_REALTIME, &t);
        char stamp[24];
        snprintf(stamp, sizeof stamp, "%010ld%09ld ", (long)t.tv_sec, t.tv_nsec);
        memcpy(line, stamp, 20);
        if (rate || held == LINES || i + 1 == count) {
            for (long at = 0; at < LINE * held;) {
                ssize_t wrote = write(1, buffer + at, LINE * held - at);
                if (wrote < 0) return 1;
                at += wrote;
            }
            held = 0;
        }
        if (rate) {
            due.tv_nsec += 1000000000L / rate;
            if (due.tv_nsec >= 1000000000L) due.tv_nsec -= 1000000000L, due.tv_sec++;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        }
    }
    return 0;
}
