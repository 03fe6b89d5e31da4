/*
 * The floor: what a loop of recv and pwrite takes, with nothing around it.
 *
 *   floor ADDRESS PORT THREADS < units
 *
 * A unit is a line "path TAB destination TAB start TAB length TAB whole": the bytes of a path from `start` on, with a
 * Range unless `whole` is 1. With `whole` 2 the bytes go to "destination.part", which is renamed when it is complete.
 * Each thread keeps one connection and takes the next unit. Prints the seconds that it took as JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 20, LINE = 8192, STREAMED = 0, WHOLE = 1, RENAMED = 2 };

struct unit {
    char *path, *destination;
    long long start, length;
    int kind;
};

static struct unit *units;
static size_t unit_count;
static atomic_size_t next_unit;
static struct sockaddr_in server;
static char host[64];

static void fail(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int connect_to_server(void)
{
    int one = 1, socket_ = socket(AF_INET, SOCK_STREAM, 0);
    if (socket_ < 0 || connect(socket_, (struct sockaddr *)&server, sizeof server))
        fail("connect");
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return socket_;
}

static void ask(int socket_, const struct unit *unit)
{
    char request[LINE], range[96] = "";
    if (unit->kind == STREAMED)
        snprintf(range, sizeof range, "Range: bytes=%lld-%lld\r\n", unit->start, unit->start + unit->length - 1);
    int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", unit->path, host, range);
    if (length >= LINE || send(socket_, request, length, MSG_NOSIGNAL) != length)
        fail("send");
}

/* Read until the header is there; returns how many bytes of the body came with it, moved to the buffer's front. */
static ssize_t read_header(int socket_, char *buffer, const struct unit *unit)
{
    size_t have = 0;
    char *end;
    do {
        ssize_t got = recv(socket_, buffer + have, BUFFER - 1 - have, 0);
        if (got <= 0)
            fail("header");
        have += got;
        buffer[have] = 0;
    } while (!(end = strstr(buffer, "\r\n\r\n")));
    *end = 0;
    const char *length = strcasestr(buffer, "\r\nContent-Length:");
    const char *wanted = unit->kind == STREAMED ? " 206 " : " 200 ";
    if (strncmp(buffer + 8, wanted, 5) || !length || atoll(length + 17) != unit->length) {
        fprintf(stderr, "floor: unexpected answer for %s: %.200s\n", unit->path, buffer);
        exit(1);
    }
    ssize_t body = buffer + have - (end + 4);
    memmove(buffer, end + 4, body);
    return body;
}

static void write_all(int file, const char *buffer, size_t length, long long offset)
{
    while (length) {
        ssize_t written = pwrite(file, buffer, length, offset);
        if (written < 0)
            fail("pwrite");
        buffer += written, length -= written, offset += written;
    }
}

static void fetch(int socket_, char *buffer, const struct unit *unit)
{
    char part[LINE];
    snprintf(part, sizeof part, "%s%s", unit->destination, unit->kind == RENAMED ? ".part" : "");
    int file = open(part, O_WRONLY | O_CREAT, 0644);
    if (file < 0)
        fail(part);
    ask(socket_, unit);
    ssize_t got = read_header(socket_, buffer, unit);
    long long done = 0;
    while (done < unit->length) {
        if (got > 0) {
            write_all(file, buffer, got, unit->start + done);
            done += got;
        }
        if (done < unit->length && (got = recv(socket_, buffer, BUFFER, 0)) <= 0)
            fail("body");
    }
    close(file);
    if (unit->kind == RENAMED && rename(part, unit->destination))
        fail("rename");
}

static void *work(void *unused)
{
    (void)unused;
    char *buffer = malloc(BUFFER);
    int socket_ = connect_to_server();
    size_t index;
    while ((index = atomic_fetch_add(&next_unit, 1)) < unit_count)
        fetch(socket_, buffer, &units[index]);
    close(socket_);
    free(buffer);
    return NULL;
}

static void read_units(void)
{
    char line[LINE];
    while (fgets(line, sizeof line, stdin)) {
        units = realloc(units, (unit_count + 1) * sizeof *units);
        struct unit *unit = &units[unit_count++];
        unit->path = strdup(strtok(line, "\t"));
        unit->destination = strdup(strtok(NULL, "\t"));
        unit->start = atoll(strtok(NULL, "\t"));
        unit->length = atoll(strtok(NULL, "\t"));
        unit->kind = atoi(strtok(NULL, "\t\n"));
    }
}

static double now(void)
{
    struct timespec time_;
    clock_gettime(CLOCK_MONOTONIC, &time_);
    return time_.tv_sec + time_.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: floor ADDRESS PORT THREADS < units\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_port = htons(atoi(arguments[2]));
    if (inet_pton(AF_INET, arguments[1], &server.sin_addr) != 1)
        fail("address");
    snprintf(host, sizeof host, "%.40s:%.10s", arguments[1], arguments[2]);
    read_units();
    int threads = atoi(arguments[3]);
    pthread_t *ids = calloc(threads, sizeof *ids);
    double start = now();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL))
            fail("thread");
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("{\"seconds\": %.6f}\n", now() - start);
    return 0;
}
