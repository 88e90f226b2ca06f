#include "net/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"

static int on(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one)) != 0 ? -errno : 0;
}

static const char *unix_path(const struct net_address *a)
{
	return ((const struct sockaddr_un *)&a->storage)->sun_path;
}

/* A socket that an earlier process left; never a file. */
static void remove_old_socket(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		(void)unlink(path);
}

int net_share(int listener)
{
#ifdef SO_REUSEPORT
	return on(listener, SOL_SOCKET, SO_REUSEPORT);
#else
	(void)listener;
	return 0;
#endif
}

static int set_up(int fd, const struct net_address *a, int backlog, bool shared)
{
	int family = net_address_family(a), result = 0;

	if (family == AF_UNIX)
		remove_old_socket(unix_path(a));
	else
		result = on(fd, SOL_SOCKET, SO_REUSEADDR);
	/* Its connections inherit it: we write whole replies. */
	if (result == 0 && family != AF_UNIX)
		(void)on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (result == 0 && shared)
		result = net_share(fd);
	if (result == 0 && family == AF_INET6)
		result = on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	if (result != 0)
		return result;
	if (bind(fd, (const struct sockaddr *)&a->storage, a->len) != 0)
		return -errno;
	if (family == AF_UNIX && chmod(unix_path(a), 0666) != 0)
		return -errno;
	return listen(fd, backlog) != 0 ? -errno : 0;
}

static int listen_at(const struct net_address *a, int backlog, bool shared)
{
	int fd =
	    socket(net_address_family(a), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result;

	if (fd < 0)
		return -errno;
	result = set_up(fd, a, backlog, shared);
	if (result == 0)
		return fd;
	(void)close(fd);
	return result;
}

int net_listen(const struct net_address *a, int backlog)
{
	return listen_at(a, backlog, false);
}

int net_listen_shared(const struct net_address *a, int backlog)
{
	return listen_at(a, backlog, true);
}

int net_accept(int listener, struct net_address *peer_r)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	int fd, error = fault_hit(FAULT_ACCEPT);

	if (error != 0)
		return -error;
	do {
		fd = accept4(listener, (struct sockaddr *)&peer, &len,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return -errno;
	if (!net_address_from((const struct sockaddr *)&peer, len, peer_r)) {
		(void)close(fd);
		return -EAFNOSUPPORT;
	}
	return fd;
}

int net_pair(int fds_r[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return -errno;
	fds_r[0] = fds[0];
	fds_r[1] = fds[1];
	return 0;
}
