/*
 * Sees every call of a process that changes files below one folder: counts them, writes them down in the order in which
 * they happened, and at a chosen one kills the process or answers with an error.
 *
 * Loaded by LD_PRELOAD; does nothing until `shim_arm`. A record is a line of tab-separated fields
 *
 *     call  result  errno  inode  offset  length  path  path
 *
 * followed by `length` bytes of data where data is kept, and a line break. Memory that is mapped is not seen: SQLite
 * maps its -shm file, which no recovery reads.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES 4096
#define EVERY -2

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static char kinds[256];  /* the calls that count, separated by commas; empty for all */
static long at = -1, seen;
static int failure;      /* 0 kills, else the errno of the answer */
static int keeps_data, log_fd = -1;
static char watched[MOST_FILES];

#define REAL(name) ((__typeof__(name) *)real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static ssize_t plain_write(int fd, const void *data, size_t size) { return REAL(write)(fd, data, size); }

void shim_arm(const char *folder, int log, long number, int error, const char *which, int with_data) {
    memset(watched, 0, sizeof watched);
    snprintf(root, sizeof root, "%s", folder);
    snprintf(kinds, sizeof kinds, "%s", which);
    root_length = strlen(root);
    at = number, failure = error, keeps_data = with_data, seen = 0, log_fd = log;
}

static void put(const void *data, size_t size) {
    if (log_fd < 0) return;
    while (size) {
        ssize_t count = plain_write(log_fd, data, size);
        if (count < 0) return;
        data = (const char *)data + count, size -= count;
    }
}

static void record(const char *call, long result, int error, ino_t inode, long offset, const void *data, size_t size,
                   const char *path, const char *other) {
    char line[2 * PATH_MAX + 200];
    size_t kept = keeps_data && data && result > 0 ? (size_t)result : 0;
    int length = snprintf(line, sizeof line, "%s\t%ld\t%d\t%lu\t%ld\t%zu\t%s\t%s\n", call, result, error,
                          (unsigned long)inode, offset, kept ? kept : 0, path, other);
    (void)size;
    put(line, length);
    put(data, kept);
    put("\n", 1);
}

/* What the test itself has to say, in order with the calls. */
void shim_note(const char *text) {
    pthread_mutex_lock(&lock);
    record("note", 0, 0, 0, 0, NULL, 0, text, "");
    pthread_mutex_unlock(&lock);
}

static int counts(const char *call) {
    if (!*kinds) return 1;
    size_t length = strlen(call);
    for (const char *each = kinds; each; each = strchr(each, ',') ? strchr(each, ',') + 1 : NULL)
        if (!strncmp(each, call, length) && (each[length] == ',' || !each[length])) return 1;
    return 0;
}

/* Count a call; returns the errno it has to fail with, 0 to let it happen. Called with the lock held. */
static int meet(const char *call) {
    if (!counts(call)) return 0;
    if (seen++ != at && at != EVERY) return 0;
    if (failure) return failure;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static int is_below(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* The absolute path of a name; empty where it is none of ours. */
static const char *absolute(int folder, const char *name, char *buffer) {
    char base[PATH_MAX] = "", link[64];
    *buffer = 0;
    if (!root_length || !name) return buffer;
    if (*name != '/') {
        ssize_t length;
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        length = readlink(link, base, sizeof base - 1);
        if (length < 0) return buffer;
        base[length] = 0;
    }
    if (snprintf(buffer, PATH_MAX, "%s%s%s", base, *base ? "/" : "", name) >= PATH_MAX || !is_below(buffer)) *buffer = 0;
    return buffer;
}

static ino_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

static int is_watched(int fd) { return root_length && fd >= 0 && fd < MOST_FILES && watched[fd]; }

static int open_watched(const char *real_name, int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    int result, error;
    int (*original)(int, const char *, int, ...) = real(real_name);
    if (!*absolute(folder, name, path)) return original(folder, name, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat before;
    int was_there = !fstatat(AT_FDCWD, path, &before, 0);
    error = meet("open");
    result = error ? -1 : original(folder, name, flags, mode);
    if (!error) error = result < 0 ? errno : 0;
    if (result >= 0 && result < MOST_FILES) watched[result] = 1;
    const char *call = result >= 0 && !was_there ? "create" : flags & O_TRUNC ? "truncating" : "open";
    record(call, result, error, result < 0 ? 0 : inode_of(result), 0, NULL, 0, path, "");
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

#define MODE_OF(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *name, int flags, ...) { MODE_OF(flags, mode) return open_watched("openat", AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE_OF(flags, mode) return open_watched("openat64", AT_FDCWD, name, flags, mode); }
int openat(int folder, const char *name, int flags, ...) { MODE_OF(flags, mode) return open_watched("openat", folder, name, flags, mode); }
int openat64(int folder, const char *name, int flags, ...) { MODE_OF(flags, mode) return open_watched("openat64", folder, name, flags, mode); }

/* A call with a descriptor: CALL is what really happens. */
#define ON_FILE(type, call, offset, data, size, CALL) \
    type result; \
    int error; \
    if (!is_watched(fd)) return CALL; \
    pthread_mutex_lock(&lock); \
    ino_t inode = inode_of(fd); \
    error = meet(call); \
    result = error ? -1 : CALL; \
    if (!error) error = result < 0 ? errno : 0; \
    record(call, result, error, inode, offset, data, size, "", ""); \
    pthread_mutex_unlock(&lock); \
    if (error) errno = error; \
    return result;

ssize_t write(int fd, const void *data, size_t size) { ON_FILE(ssize_t, "write", (long)lseek(fd, 0, SEEK_CUR) - (result > 0 ? result : 0), data, size, plain_write(fd, data, size)) }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { ON_FILE(ssize_t, "pwrite", offset, data, size, REAL(pwrite)(fd, data, size, offset)) }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { ON_FILE(ssize_t, "pwrite", offset, data, size, REAL(pwrite64)(fd, data, size, offset)) }
int ftruncate(int fd, off_t size) { ON_FILE(int, "ftruncate", size, NULL, 0, REAL(ftruncate)(fd, size)) }
int ftruncate64(int fd, off64_t size) { ON_FILE(int, "ftruncate", size, NULL, 0, REAL(ftruncate64)(fd, size)) }
int fsync(int fd) { ON_FILE(int, "fsync", 0, NULL, 0, REAL(fsync)(fd)) }
int fdatasync(int fd) { ON_FILE(int, "fdatasync", 0, NULL, 0, REAL(fdatasync)(fd)) }

int close(int fd) {
    int error, result;
    if (!is_watched(fd)) return REAL(close)(fd);
    pthread_mutex_lock(&lock);
    ino_t inode = inode_of(fd);
    error = meet("close");
    watched[fd] = 0;
    result = REAL(close)(fd); /* an error of close leaves it closed all the same */
    if (error) result = -1;
    else error = result < 0 ? errno : 0;
    record("close", result, error, inode, 0, NULL, 0, "", "");
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

/* Locks change nothing on the disk, and are met only where they are asked for. */
static int lock_fails(int fd) {
    int error = 0;
    if (!*kinds || !is_watched(fd)) return 0;
    pthread_mutex_lock(&lock);
    error = meet("lock");
    if (error) record("lock", -1, error, inode_of(fd), 0, NULL, 0, "", "");
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return error;
}

int flock(int fd, int operation) { return lock_fails(fd) ? -1 : REAL(flock)(fd, operation); }

static int control(const char *name, int fd, int command, void *argument) {
    int (*original)(int, int, ...) = real(name);
    int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    return locks && lock_fails(fd) ? -1 : original(fd, command, argument);
}

#define CONTROL(name) int name(int fd, int command, ...) { \
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
    return control(#name, fd, command, argument); }
CONTROL(fcntl)
CONTROL(fcntl64)

/* A call with one or two names. */
static int on_names(const char *call, int folder, const char *name, int other_folder, const char *other,
                    int (*act)(void *), void *arguments) {
    char path[PATH_MAX], second[PATH_MAX] = "";
    int error, result;
    absolute(folder, name, path);
    if (other) absolute(other_folder, other, second);
    if (!*path && !*second) return act(arguments);
    pthread_mutex_lock(&lock);
    struct stat status = {0};
    fstatat(AT_FDCWD, path, &status, AT_SYMLINK_NOFOLLOW);
    error = meet(call);
    result = error ? -1 : act(arguments);
    if (!error) error = result < 0 ? errno : 0;
    record(call, result, error, status.st_ino, 0, NULL, 0, path, second);
    pthread_mutex_unlock(&lock);
    if (error) errno = error;
    return result;
}

struct names { int folder; const char *name; int other_folder; const char *other; unsigned flags; };

#define ON_NAMES(call, ...) \
    struct names names = {__VA_ARGS__}; \
    return on_names(call, names.folder, names.name, names.other_folder, names.other, act, &names);
#define ACT(expression) int act(void *given) { struct names *n = given; return expression; }

int rename(const char *from, const char *to) { ACT(REAL(rename)(n->name, n->other)) ON_NAMES("rename", AT_FDCWD, from, AT_FDCWD, to) }
int renameat(int a, const char *from, int b, const char *to) { ACT(REAL(renameat)(n->folder, n->name, n->other_folder, n->other)) ON_NAMES("rename", a, from, b, to) }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { ACT(REAL(renameat2)(n->folder, n->name, n->other_folder, n->other, n->flags)) ON_NAMES("rename", a, from, b, to, flags) }
int link(const char *from, const char *to) { ACT(REAL(link)(n->name, n->other)) ON_NAMES("link", AT_FDCWD, from, AT_FDCWD, to) }
int linkat(int a, const char *from, int b, const char *to, int flags) { ACT(REAL(linkat)(n->folder, n->name, n->other_folder, n->other, n->flags)) ON_NAMES("link", a, from, b, to, flags) }
int unlink(const char *name) { ACT(REAL(unlink)(n->name)) ON_NAMES("unlink", AT_FDCWD, name) }
int unlinkat(int a, const char *name, int flags) { ACT(REAL(unlinkat)(n->folder, n->name, n->flags)) ON_NAMES("unlink", a, name, 0, NULL, flags) }
int rmdir(const char *name) { ACT(REAL(rmdir)(n->name)) ON_NAMES("rmdir", AT_FDCWD, name) }
int mkdir(const char *name, mode_t mode) { ACT(REAL(mkdir)(n->name, n->flags)) ON_NAMES("mkdir", AT_FDCWD, name, 0, NULL, mode) }
int mkdirat(int a, const char *name, mode_t mode) { ACT(REAL(mkdirat)(n->folder, n->name, n->flags)) ON_NAMES("mkdir", a, name, 0, NULL, mode) }
