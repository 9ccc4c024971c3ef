/* A disk that fails on order, for one process: LD_PRELOAD this with BAD_DISK naming a file and BAD_DISK_ROOT a folder.

   The file holds "KIND N": after N more writes or syncs below the root, every further one fails, until the file is
   gone. KIND is full (ENOSPC on write), readonly (EROFS on write) or fsync (EIO on fsync). A changed file starts the
   count again. Only what reaches the disk is touched: sockets and pipes have no path below the root. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char known[64];
static long left;

static int below_root(int fd) {
    const char *root = getenv("BAD_DISK_ROOT");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (root == NULL || size < 0) return 0;
    path[size] = 0;
    size_t length = strlen(root);
    return strncmp(path, root, length) == 0 && path[length] == '/';
}

/* Return the error that this call must end in, 0 for none. */
static int order(const char *for_kind, int fd) {
    const char *name = getenv("BAD_DISK");
    char said[64] = "";
    if (name == NULL) return 0;
    int file = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t size = syscall(SYS_read, file, said, sizeof said - 1);
    syscall(SYS_close, file);
    if (size <= 0) return 0;
    said[size] = 0;
    int is_fsync = strncmp(said, "fsync", 5) == 0;
    if (is_fsync != (strcmp(for_kind, "fsync") == 0) || !below_root(fd)) return 0;
    pthread_mutex_lock(&lock);
    if (strcmp(said, known) != 0) {
        strcpy(known, said);
        left = atol(strchr(said, ' ') ? strchr(said, ' ') : "0");
    }
    int fails = left-- <= 0;
    pthread_mutex_unlock(&lock);
    if (!fails) return 0;
    return is_fsync ? EIO : strncmp(said, "readonly", 8) == 0 ? EROFS : ENOSPC;
}

#define FAIL(kind, fd)                        \
    do {                                      \
        int error = order(kind, fd);          \
        if (error) { errno = error; return -1; } \
    } while (0)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) { FAIL("write", fd); return REAL(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { FAIL("write", fd); return REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { FAIL("write", fd); return REAL(pwrite64)(fd, data, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { FAIL("write", fd); return REAL(writev)(fd, parts, count); }
int fsync(int fd) { FAIL("fsync", fd); return REAL(fsync)(fd); }
int fdatasync(int fd) { FAIL("fsync", fd); return REAL(fdatasync)(fd); }
