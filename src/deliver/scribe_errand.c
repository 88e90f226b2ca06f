#include "deliver/scribe_errand.h"

#include "ipc/message_body.h"

IPC_RECORD_BODY(scribe_job, SCRIBE_JOB_FIELDS)
IPC_RECORD_BODY(scribe_path, SCRIBE_PATH_FIELDS)
IPC_RECORD_BODY(scribe_errand, SCRIBE_ERRAND_FIELDS)
