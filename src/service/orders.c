/* What master tells (service/master_status.h). */
#include "service/service_private.h"

#include <errno.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"

static int descriptor_of(struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd = -1;
	if (header != NULL && header->cmsg_level == SOL_SOCKET &&
	    header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

enum order_result orders_receive(int from, struct master_order *order_r)
{
	struct master_order order;
	struct iovec data = {&order, sizeof(order)};
	union master_control control = {0};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return ORDER_NONE;
	int fd = got > 0 ? descriptor_of(&message) : -1;
	if (got != sizeof(order)) {
		file_close(&fd);
		return ORDER_END;
	}
	if (order.log != 0 && fd >= 0)
		log_adopt(fd);
	else
		file_close(&fd);
	*order_r = order;
	return ORDER_TAKEN;
}
