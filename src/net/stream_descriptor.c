/* Descriptors over UNIX streams: SCM_RIGHTS with one byte of data. */
#include "net/stream_private.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fault.h"

union control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int))];
};

int stream_send_fd(struct stream *s, int fd)
{
	char byte = 0;
	struct iovec data = {&byte, 1};
	union control control = {0};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	int result = stream_flush(s);

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	while (result == 0) {
		int error = fault_hit(FAULT_SEND);

		if (error == 0 && sendmsg(stream_fd(s), &message, MSG_NOSIGNAL) == 1)
			return 0;
		error = error != 0 ? error : errno;
		if (error == EAGAIN)
			result = stream_wait_writable(s);
		else if (error != EINTR)
			result = stream_fail(s, -error);
	}
	return result;
}

static int take_descriptor(struct stream *s, struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd;

	if (header == NULL || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return stream_fail(s, -EPROTO);
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

int stream_receive_fd(struct stream *s)
{
	char byte;
	struct iovec data = {&byte, 1};
	union control control = {0};
	int result = stream_error(s);

	/* The byte that came with the descriptor was read as data: the descriptor is
	 * lost. */
	if (result == 0 && stream_pending(s, false) > 0)
		return stream_fail(s, -EPROTO);
	while (result == 0) {
		struct msghdr message = {.msg_iov = &data,
		    .msg_iovlen = 1,
		    .msg_control = control.bytes,
		    /* With its padding there would be room for two, and one of them
		     * would stay open. */
		    .msg_controllen = CMSG_LEN(sizeof(int))};
		int error = fault_hit(FAULT_RECEIVE);
		ssize_t got =
		    error != 0 ? -1 : recvmsg(stream_fd(s), &message, MSG_CMSG_CLOEXEC);

		if (got == 0)
			return STREAM_EOF;
		if (got > 0)
			return take_descriptor(s, &message);
		error = error != 0 ? error : errno;
		if (error == EAGAIN)
			result = stream_wait_readable(s);
		else if (error != EINTR)
			result = stream_fail(s, -error);
	}
	return result;
}
