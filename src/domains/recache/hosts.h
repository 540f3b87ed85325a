#ifndef LARDER_RECACHE_HOSTS_PRIVATE_H
#define LARDER_RECACHE_HOSTS_PRIVATE_H

#include "larder/recache_hosts.h"

/* With all they point to. -ENOMEM. */
int recache_hosts_copy(arena *a, const recache_host *hosts, size_t n, recache_host **ret_hosts);
int recache_hosts_check(const recache_host *hosts, size_t n); /* -EINVAL: ids that repeat, no domain, no ttl.. */

#endif
