/*
 * A TCP proxy on loopback that makes a long line, or a thin one, out of a short and wide one.
 *
 *   delay_proxy LISTEN_PORT TARGET_PORT ONE_WAY_MILLISECONDS BYTES_PER_SECOND
 *
 * Every byte arrives the delay later, in both directions; the first bytes of a client come a round trip later still,
 * which stands for the handshake that loopback does not have. All connections together get at most BYTES_PER_SECOND
 * from the target (0: as much as there is). One thread, one epoll loop.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, HELD = 8 << 20, EVENTS = 256 };

struct chunk {
    struct chunk *next;
    long long due; /* nanoseconds */
    size_t length, sent;
    char bytes[CHUNK];
};

struct line; /* the two directions of one connection */

struct direction {
    struct line *line;
    int from, to;
    struct chunk *first, *last;
    size_t held;
    int is_ended, is_shut, is_limited, has_begun;
};

struct line {
    struct direction up, down;
    struct line *next;
    int is_dead;
};

static struct line *lines;
static int poll_;
static long long delay, rate, tokens, filled_at;

static long long now(void)
{
    struct timespec time_;
    clock_gettime(CLOCK_MONOTONIC, &time_);
    return time_.tv_sec * 1000000000LL + time_.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void fill_tokens(long long time_)
{
    if (!rate)
        return;
    tokens += (long long)((double)rate * (time_ - filled_at) / 1e9);
    filled_at = time_;
    if (tokens > rate / 50) /* at most 20 ms in one burst */
        tokens = rate / 50;
}

static void receive(struct direction *way, long long time_)
{
    while (!way->is_ended && way->held < HELD) {
        if (way->is_limited && rate && tokens <= 0)
            return;
        struct chunk *chunk = malloc(sizeof *chunk);
        ssize_t got = recv(way->from, chunk->bytes, CHUNK, MSG_DONTWAIT);
        if (got <= 0) {
            free(chunk);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
            way->is_ended = 1;
            return;
        }
        if (way->is_limited)
            tokens -= got;
        chunk->next = NULL, chunk->length = got, chunk->sent = 0;
        chunk->due = time_ + delay + (!way->is_limited && !way->has_begun ? 2 * delay : 0);
        if (way->last && chunk->due < way->last->due)
            chunk->due = way->last->due; /* bytes do not overtake each other */
        way->has_begun = 1;
        way->held += got;
        if (way->last)
            way->last->next = chunk;
        else
            way->first = chunk;
        way->last = chunk;
    }
}

static void deliver(struct direction *way, long long time_)
{
    struct chunk *chunk;
    while ((chunk = way->first) && chunk->due <= time_) {
        ssize_t sent = send(way->to, chunk->bytes + chunk->sent, chunk->length - chunk->sent,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN && errno != EINTR)
                way->line->is_dead = 1;
            return;
        }
        chunk->sent += sent, way->held -= sent;
        if (chunk->sent < chunk->length)
            return;
        way->first = chunk->next;
        if (!way->first)
            way->last = NULL;
        free(chunk);
    }
    if (way->is_ended && !way->first && !way->is_shut) {
        shutdown(way->to, SHUT_WR);
        way->is_shut = 1;
    }
}

static void drop(struct direction *way)
{
    while (way->first) {
        struct chunk *chunk = way->first;
        way->first = chunk->next;
        free(chunk);
    }
}

static void move(void)
{
    long long time_ = now();
    fill_tokens(time_);
    for (struct line **place = &lines; *place;) {
        struct line *line = *place;
        receive(&line->up, time_), receive(&line->down, time_);
        deliver(&line->up, time_), deliver(&line->down, time_);
        if (line->is_dead || (line->up.is_shut && line->down.is_shut)) {
            close(line->up.from), close(line->up.to);
            drop(&line->up), drop(&line->down);
            *place = line->next;
            free(line);
        } else
            place = &line->next;
    }
}

static void watch(int socket_)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, socket_, &event))
        fail("epoll");
}

static void accept_line(int listener, const struct sockaddr_in *target)
{
    int client = accept(listener, NULL, NULL);
    if (client < 0)
        return;
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (server < 0 || connect(server, (const struct sockaddr *)target, sizeof *target))
        fail("target");
    struct line *line = calloc(1, sizeof *line);
    line->up = (struct direction){.line = line, .from = client, .to = server};
    line->down = (struct direction){.line = line, .from = server, .to = client, .is_limited = 1};
    line->next = lines;
    lines = line;
    watch(client), watch(server);
}

/* Epoll tells of what is new; a timer each millisecond moves what became due, and what waited for tokens. */
static int make_timer(void)
{
    struct itimerspec each = {{0, 1000000}, {0, 1000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = timer};
    if (timer < 0 || timerfd_settime(timer, 0, &each, NULL) || epoll_ctl(poll_, EPOLL_CTL_ADD, timer, &event))
        fail("timer");
    return timer;
}

int main(int count, char **arguments)
{
    if (count != 5) {
        fprintf(stderr, "usage: delay_proxy LISTEN_PORT TARGET_PORT ONE_WAY_MILLISECONDS BYTES_PER_SECOND\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1]))}, target = own;
    own.sin_addr.s_addr = target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.sin_port = htons(atoi(arguments[2]));
    delay = (long long)(atof(arguments[3]) * 1e6), rate = atoll(arguments[4]), filled_at = now();
    poll_ = epoll_create1(0);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), timer = make_timer();
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 1024) ||
        epoll_ctl(poll_, EPOLL_CTL_ADD, listener, &event))
        fail("listen");
    for (;;) {
        struct epoll_event events[EVENTS];
        int happened = epoll_wait(poll_, events, EVENTS, -1);
        for (int i = 0; i < happened; i++) {
            unsigned long long ticks;
            if (events[i].data.fd == listener)
                accept_line(listener, &target);
            else if (events[i].data.fd == timer && read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
                fail("timer");
        }
        move();
    }
}
