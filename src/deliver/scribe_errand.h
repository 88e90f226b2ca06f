/* What an agent asks of its scribe (deliver/scribe.h), with the queue file's descriptor.
 */
#ifndef DELIVER_SCRIBE_ERRAND_H
#define DELIVER_SCRIBE_ERRAND_H

#include "ipc/message.h"
#include "mail/address.h"

#define SCRIBE_JOB_FIELDS(F)              \
	F(STR, address, ADDRESS_MAX)      \
	F(STR, original, ADDRESS_MAX)     \
	F(STR, delivered_to, ADDRESS_MAX) \
	F(BYTES, directory, 4096)
IPC_RECORD(scribe_job, SCRIBE_JOB_FIELDS)
#define SCRIBE_PATH_FIELDS(F) F(BYTES, path, 4096)
IPC_RECORD(scribe_path, SCRIBE_PATH_FIELDS)

#define SCRIBE_ERRAND_FIELDS(F)     \
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
