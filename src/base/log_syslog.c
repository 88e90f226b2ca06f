#include "base/log_syslog.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/file.h"

static const struct {
	const char *name;
	int facility;
} facilities[] = {
    {"auth", LOG_AUTH},
    {"authpriv", LOG_AUTHPRIV},
    {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON},
    {"ftp", LOG_FTP},
    {"kern", LOG_KERN},
    {"lpr", LOG_LPR},
    {"mail", LOG_MAIL},
    {"news", LOG_NEWS},
    {"syslog", LOG_SYSLOG},
    {"user", LOG_USER},
    {"uucp", LOG_UUCP},
    {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7},
};

static const char *socket_path = "/dev/log";

void log_syslog_path(const char *path)
{
	socket_path = path;
}

int log_syslog_facility(struct str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(facilities); i++)
		if (str_is(name, facilities[i].name))
			return facilities[i].facility;
	return -EINVAL;
}

int log_syslog_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;

	if (!str_to_cstr(str_of(socket_path), address.sun_path, sizeof(address.sun_path)))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	(void)close(fd);
	return -error;
}

static int send_once(int fd, struct str line)
{
	for (;;) {
		struct timespec pause = {.tv_nsec = 1000000};

		if (send(fd, line.p, line.len, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno == ENOBUFS) /* where a full datagram socket does not block */
			(void)nanosleep(&pause, NULL);
		else if (errno != EINTR)
			return -errno;
	}
}

int log_syslog_send(int *fd, struct str line)
{
	int result = *fd < 0 ? -ENOTCONN : send_once(*fd, line);

	if (result != -ENOTCONN && result != -ECONNREFUSED && result != -ECONNRESET)
		return result;
	file_close(fd);
	result = log_syslog_connect();
	if (result < 0)
		return result;
	*fd = result;
	return send_once(*fd, line);
}
