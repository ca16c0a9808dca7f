/* A disk that fails: loaded into a process, it lets calls on chosen files fail with EIO while a test asks for it.
 * The file $FAULTS/pread64 holds the end of the names of the files whose reads fail, and so for the other calls. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call, int fd) {
  char link[64], rule[4096], end[256], name[4096];
  const char *folder = getenv("FAULTS");
  if (folder == NULL) return 0;
  snprintf(rule, sizeof rule, "%s/%s", folder, call);
  int file = syscall(SYS_openat, AT_FDCWD, rule, O_RDONLY);
  if (file < 0) return 0;
  ssize_t n = syscall(SYS_read, file, end, sizeof end);
  syscall(SYS_close, file);
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t m = readlink(link, name, sizeof name);
  if (n <= 0 || m < n || memcmp(name + m - n, end, n) != 0) return 0;
  errno = EIO;
  return 1;
}

#define WRAP(type, call, declared, given)                                        \
  type call declared {                                                           \
    static type(*real) declared;                                                 \
    if (real == NULL) real = (type(*) declared) dlsym(RTLD_NEXT, #call);         \
    return fails(#call, fd) ? -1 : real given;                                   \
  }

WRAP(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
WRAP(ssize_t, pwrite64, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at))
WRAP(int, fsync, (int fd), (fd))
WRAP(int, fdatasync, (int fd), (fd))
