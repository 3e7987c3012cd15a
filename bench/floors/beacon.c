/* An agent that says that it works: sends its process id to a Unix datagram socket, then waits to be killed.
 *   beacon SOCKET [IGNORED] */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char word[32];
    if (argc < 2 || strlen(argv[1]) >= sizeof to.sun_path) return 2;
    strcpy(to.sun_path, argv[1]);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    int length = snprintf(word, sizeof word, "%d", (int)getpid());
    if (fd < 0 || sendto(fd, word, length, 0, (struct sockaddr *)&to, sizeof to) < 0) return 1;
    for (;;) pause();
}
