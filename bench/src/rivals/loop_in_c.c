/* Opens, reads and closes a file, or opens, writes, syncs and closes it, until the time is over: the calls and nothing else.
   Arguments: read|write, path, bytes, seconds. Prints the number of operations and the time that they took. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int fail(const char *call) {
    perror(call);
    return 1;
}

int main(int count, char **arguments) {
    if (count != 5) return fputs("expected: read|write PATH BYTES SECONDS\n", stderr), 2;
    int writes = strcmp(arguments[1], "write") == 0;
    size_t bytes = strtoul(arguments[3], NULL, 10);
    char *buffer = calloc(1, bytes + 1);
    if (!buffer) return fail("calloc");
    double start = now(), end = start + atof(arguments[4]), time = start;
    long operations = 0;
    while (time < end) {
        int file = writes ? open(arguments[2], O_WRONLY | O_CREAT | O_TRUNC, 0644) : open(arguments[2], O_RDONLY);
        if (file < 0) return fail("open");
        if (writes) {
            if (write(file, buffer, bytes) != (ssize_t)bytes) return fail("write");
            if (fsync(file) != 0) return fail("fsync");
        } else if (read(file, buffer, bytes) != (ssize_t)bytes) {
            return fail("read");
        }
        close(file);
        operations++;
        time = now();
    }
    printf("%ld operations in %.6f s\n", operations, time - start);
    return 0;
}
