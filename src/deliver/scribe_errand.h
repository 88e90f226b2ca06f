/*
 * What an agent asks of its scribe (deliver/scribe.h): a packet with the queue file's
 * descriptor. The answer is a packet too: the errand's number (32 bits of this machine's
 * order), the outcomes (deliver/errand_report.h), and what was found of `files`.
 */
#ifndef DELIVER_SCRIBE_ERRAND_H
#define DELIVER_SCRIBE_ERRAND_H

#include <sys/socket.h>

#include "deliver/errand_report.h"
#include "ipc/message.h"
#include "mail/address.h"

#define SCRIBE_PACKET_MAX (128 * 1024) /* fits into a socket's buffer */
/* A report with a file is one packet too. A longer file is passed over with a warning,
 * and the mail goes where it would without one. */
#define SCRIBE_FOUND_MAX  (64 * 1024)
#define SCRIBE_REPORT_MAX (sizeof(uint32_t) + ERRAND_REPORT_MAX + 1 + SCRIBE_FOUND_MAX)

union scribe_control {
	struct cmsghdr header; /* for its alignment */
	char bytes[CMSG_SPACE(sizeof(int))];
};

#define SCRIBE_JOB_FIELDS(F)              \
	F(STR, address, ADDRESS_MAX)      \
	F(STR, original, ADDRESS_MAX)     \
	F(STR, delivered_to, ADDRESS_MAX) \
	F(BYTES, directory, 4096)
IPC_RECORD(scribe_job, SCRIBE_JOB_FIELDS)
#define SCRIBE_PATH_FIELDS(F) F(BYTES, path, 4096)
IPC_RECORD(scribe_path, SCRIBE_PATH_FIELDS)

#define SCRIBE_ERRAND_FIELDS(F)     \
	F(U32, number, 0)           \
	F(STR, sender, ADDRESS_MAX) \
	F(I64, content_offset, 0)   \
	F(BYTES, hostname, 1024)    \
	F(U32, copy_flags, 0)       \
	F(I64, limit, 0)            \
	F(U32, files_owner, 0)      \
	F(LIST, files, scribe_path) \
	F(LIST, jobs, scribe_job)
IPC_RECORD(scribe_errand, SCRIBE_ERRAND_FIELDS)

#endif
