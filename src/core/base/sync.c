/* What must outlive a power cut. */
#include "larder/base.h"

#include <fcntl.h>
#include <unistd.h>

int sync_path(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    if (r == -EINVAL || r == -EROFS) /* a file system that can't, or where nothing was written */
        r = 0;
    close(fd);
    return r;
}
