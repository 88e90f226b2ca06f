/*
 * The log file after a rotation. master opens the new file and hands it to each process,
 * jailed and unprivileged ones too (struct master_order). It does so at a reload, at
 * SIGUSR2 (postfix logrotate), and by itself, within a second, when the file that it
 * writes to was renamed or removed.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "run/signals.h"
#include "service/log_setup.h"

#define LOOK_EVERY_MS 1000

static struct run_timer *look_timer;

/* 0 or -errno. */
static int send_packet(const struct child *c, struct master_order *order, int fd)
{
	struct iovec data = {order, sizeof(*order)};
	union master_control control = {0};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	if (fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	ssize_t sent = sendmsg(c->status_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : 0;
}

void child_send_order(struct child *c)
{
	int fd = c->log_version != master.log_version ? log_descriptor() : -1;
	struct master_order order = {
	    .clients = c->share,
	    .stress = c->row->stress,
	    .log = fd >= 0,
	};
	int error = send_packet(c, &order, fd);
	if (error == 0)
		c->log_version = master.log_version;
	else if (error != -EPIPE && error != -ECONNRESET)
		log_warning(
		    "process %d does not take orders: %s", (int)c->pid, strerror(-error));
}

/* To all that have not got it yet. */
static void hand_out(void)
{
	struct row *r;
	struct child *c;
	LIST_FOREACH (r, &master.rows, struct row, link)
		LIST_FOREACH (c, &r->children, struct child, link)
			if (c->log_version != master.log_version)
				child_send_order(c);
}

static void rotate(void)
{
	int error = log_setup_reopen(&master.common);
	if (error != 0) {
		log_warning("open logfile '%s': %s", master.common.maillog_file,
		    strerror(-error));
		return;
	}
	rotation_announce();
}

void rotation_announce(void)
{
	if (log_descriptor() < 0)
		return;
	master.log_version++;
	hand_out();
}

static void look(UNUSED void *argument)
{
	run_timer_set(look_timer, deadline_after_ms(LOOK_EVERY_MS));
	if (log_is_moved())
		rotate();
	else if (log_descriptor() >= 0)
		hand_out(); /* whose socket was full */
}

static void on_signal(UNUSED int number)
{
	if (!master.ending && log_descriptor() >= 0)
		rotate();
}

void rotation_start(void)
{
	run_on_signal(SIGUSR2, on_signal);
	look_timer = run_timer_new(look, NULL);
	run_timer_set(look_timer, deadline_after_ms(LOOK_EVERY_MS));
}
