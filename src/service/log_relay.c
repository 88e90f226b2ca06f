#include "service/log_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "message/postlog.h"
#include "net/address.h"
#include "service/command.h"

#define PATIENCE_MS 1000

static struct {
	const struct common_params *common;
	int fd;
	bool without_command;
} relay_state = {.fd = -1};

void log_relay_setup(const struct common_params *common)
{
	relay_state.common = common;
	file_close(&relay_state.fd);
}

void log_relay_without_command(void)
{
	relay_state.without_command = true;
}

static int connect_service(void)
{
	CLEANUP(buf_free) struct buf path = BUF_INIT(PATH_MAX);
	struct net_address address;
	buf_printf(&path, "%s/public/%s", relay_state.common->queue_directory,
	    relay_state.common->postlog_service_name);
	int error =
	    buf_ok(&path) ? net_address_unix(buf_cstr(&path), &address) : -ENAMETOOLONG;
	if (error != 0)
		return error;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address.storage, address.len) != 0)
		error = -errno;
	if (error != 0)
		file_close(&fd);
	return error != 0 ? error : fd;
}

/* 0 or -errno; waits for room, but not for ever: a service that reads nothing must not
 * hold up whoever submits mail. */
static int send_datagram(struct str datagram)
{
	struct pollfd room = {.fd = relay_state.fd, .events = POLLOUT};
	for (;;) {
		if (send(relay_state.fd, datagram.p, datagram.len, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (errno == EAGAIN && poll(&room, 1, PATIENCE_MS) == 0)
			return -EAGAIN;
	}
}

static int send_to_service(struct str datagram)
{
	int error = relay_state.fd < 0 ? -ENOTCONN : send_datagram(datagram);
	if (error != -ENOTCONN && error != -ECONNREFUSED && error != -ECONNRESET)
		return error;
	/* Not connected yet, or master has made the socket anew. */
	file_close(&relay_state.fd);
	relay_state.fd = connect_service();
	return relay_state.fd < 0 ? relay_state.fd : send_datagram(datagram);
}

/* What it says on standard error has been said there by its caller. */
NORETURN static void become_postlog(const char *path, char *const *argv)
{
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			_exit(1);
	(void)execv(path, argv);
	_exit(1);
}

static bool send_by_command(struct str tag, struct str text)
{
	char name[] = "postlog", t[] = "-t", end[] = "--";
	char tag_copy[LOG_TAG_MAX + 1], text_copy[LOG_LINE_MAX + 1], path[PATH_MAX];
	char *argv[] = {name, t, tag_copy, end, text_copy, NULL};
	int status = -1;
	if (!str_to_cstr(tag, tag_copy, sizeof(tag_copy)) ||
	    !str_to_cstr(text, text_copy, sizeof(text_copy)))
		return false;
	(void)snprintf(path, sizeof(path), "%s/postlog",
	    program_command_directory(relay_state.common));
	pid_t pid = fork();
	if (pid == 0)
		become_postlog(path, argv);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool log_relay_send(enum log_level level, struct str tag, struct str text)
{
	CLEANUP(buf_free) struct buf datagram = BUF_INIT(POSTLOG_DATAGRAM_MAX);
	const struct postlog_line line = {
	    .level = (uint8_t)level,
	    .pid = (uint32_t)getpid(),
	    .tag = tag,
	    .text = text,
	};
	postlog_line_write(&datagram, &line);
	int error = buf_ok(&datagram) ? send_to_service(buf_str(&datagram)) : -EMSGSIZE;
	/* A program with more rights than its caller starts no other for this. */
	if (error == -EACCES && !relay_state.without_command && geteuid() == getuid() &&
	    getegid() == getgid())
		return send_by_command(tag, text);
	return error == 0;
}
