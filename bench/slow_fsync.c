/* For LD_PRELOAD: a disk whose every fsync takes SLOW_FSYNC_US microseconds longer. What else a program does to its
 * files takes as long as ever. The file SLOW_FSYNC_COUNT holds how often it was called, as a native uint64_t: a program
 * that syncs by other ways would seem to be on a slow disk, and would not be. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int sync_call(int);

static sync_call *real_fsync, *real_fdatasync;
static struct timespec longer;
static uint64_t unseen, *count = &unseen;

__attribute__((constructor)) static void prepare(void) {
    const char *path = getenv("SLOW_FSYNC_COUNT"), *us = getenv("SLOW_FSYNC_US");
    long long ns = us ? atoll(us) * 1000 : 0;
    longer.tv_sec = ns / 1000000000;
    longer.tv_nsec = ns % 1000000000;
    real_fsync = (sync_call *)dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = (sync_call *)dlsym(RTLD_NEXT, "fdatasync");
    int file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (file >= 0 && ftruncate(file, sizeof *count) == 0) {
        void *shared = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (shared != MAP_FAILED) count = shared;
    }
    if (file >= 0) close(file);
}

static void wait_longer(void) {
    __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    nanosleep(&longer, NULL);
}

int fsync(int file) {
    wait_longer();
    return real_fsync(file);
}

int fdatasync(int file) {
    wait_longer();
    return real_fdatasync(file);
}
