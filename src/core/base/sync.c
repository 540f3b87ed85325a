/* What must outlive a power cut. */
#include "larder/base.h"

#include <fcntl.h>
#include <unistd.h>

int sync_path(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    const int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}
