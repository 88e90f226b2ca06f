#include "deliver/biff.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define NAME_ROOM 256

int biff_open(void)
{
	const struct servent *service = getservbyname("biff", "udp");
	if (service == NULL) {
		log_warning("service not found: biff/udp");
		return -1;
	}
	const struct sockaddr_in here = {.sin_family = AF_INET,
	    .sin_port = (in_port_t)service->s_port,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&here, sizeof(here)) != 0) {
		(void)close(fd);
		fd = -1;
	}
	if (fd < 0)
		log_warning("socket for biff/udp: %s", strerror(errno));
	return fd;
}

void biff_tell(int socket, const char *user, off_t offset)
{
	char text[NAME_ROOM + 32];
	int len =
	    snprintf(text, sizeof(text), "%.*s@%lld", NAME_ROOM, user, (long long)offset);
	/* ECONNREFUSED is the usual: nobody listened to the one before. */
	if (send(socket, text, (size_t)len + 1, MSG_NOSIGNAL) < 0)
		log_debug("nobody hears of new mail: %s", strerror(errno));
}
