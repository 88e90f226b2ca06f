/*
 * flush: keeps logs of which deferred messages wait for which site, and has them
 * delivered at once on request (ETRN, postqueue -s and -i).
 *
 * Reads from strangers: names of sites, handed on by other services; only those of
 * fast_flush_domains have a log. Runs as mail_owner, may be jailed. What a request costs
 * is bounded by the messages noted since the one before: its log is empty afterwards. If
 * it died here, some notes are lost or done twice; the mail is delivered in its own time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "client/qmgr_client.h"
#include "client/service_client.h"
#include "flush/log.h"
#include "flush_params.h"
#include "mail/address.h"
#include "message/flush.h"
#include "queue/queue_file.h"
#include "run/fiber.h"
#include "service/owner.h"
#include "service/service.h"
#include "table/match_list.h"

static struct {
	struct flush_params params;
	struct match_list *sites;
	struct ipc_client *qmgr;
	uid_t owner;
} flush;

/* --- messages --- */

/* Makes a deferred message due: qmgr will also forget that its destination is dead. */
static int wake_message(struct str id)
{
	struct stat status;
	CLEANUP(file_close)
	int fd = queue_open(QUEUE_DEFERRED, id, O_RDONLY, flush.owner);
	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0 || futimens(fd, NULL) < 0)
		return -errno;
	if ((status.st_mode & QUEUE_MODE_READY) != QUEUE_MODE_READY)
		return -ENOENT;
	int error = file_chmod(fd, (status.st_mode & 07777) | QUEUE_MODE_UNTHROTTLE);
	return error < 0 ? error : queue_move(id, QUEUE_DEFERRED, QUEUE_INCOMING);
}

struct waking {
	size_t count;
};

static void wake_noted(void *context, struct str id)
{
	struct waking *w = context;
	int error = wake_message(id);
	if (error == 0)
		w->count++;
	else if (error != -ENOENT) /* delivered or being delivered: nothing to do */
		log_warning(
		    "move %.*s to %s: %s", STR_ARG(id), QUEUE_INCOMING, strerror(-error));
}

static void tell_qmgr(void)
{
	int error = qmgr_trigger_send(
	    flush.qmgr, QMGR_SCAN_INCOMING, service_client_deadline(service_common()));
	if (error != 0)
		log_debug("qmgr does not answer: %s", strerror(-error));
}

static enum flush_status wake_log(const char *path)
{
	struct waking w = {.count = 0};
	int error = flush_log_take(path, wake_noted, &w);
	if (w.count > 0) {
		log_debug("%s: requesting delivery of %zu messages", path, w.count);
		tell_qmgr();
	}
	if (error == 0 || error == -ENOENT)
		return FLUSH_OK;
	log_warning("fast flush logfile %s: %s", path, strerror(-error));
	return FLUSH_FAIL;
}

/* --- requests --- */

static enum flush_status check_site(struct str site)
{
	struct net_address address;
	bool literal = address_literal_parse(site, &address);
	if (!literal && !address_domain_valid(site, false, NULL))
		return FLUSH_BAD;
	switch (match_list_string(flush.sites, site)) {
	case TABLE_FOUND:
		return FLUSH_OK;
	case TABLE_ABSENT:
		return FLUSH_DENIED;
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	return FLUSH_FAIL;
}

static enum flush_status note(const struct flush_add_entry *entry)
{
	char path[QUEUE_PATH_MAX];
	enum flush_status status = check_site(entry->site);
	if (status != FLUSH_OK)
		return status;
	if (!queue_id_valid(entry->id))
		return FLUSH_BAD;
	flush_log_path(path, entry->site);
	int error = flush_log_add(path, entry->id);
	if (error == 0)
		return FLUSH_OK;
	log_warning("fast flush logfile %s: %s", path, strerror(-error));
	return FLUSH_FAIL;
}

static enum flush_status note_all(const struct flush_append *request)
{
	enum flush_status all = FLUSH_OK;
	for (uint32_t i = 0; i < request->entries_count; i++) {
		enum flush_status status = note(&request->entries[i]);
		if (status != FLUSH_OK)
			all = status;
	}
	return all;
}

static enum flush_status wake_site(struct str site)
{
	char path[QUEUE_PATH_MAX];
	enum flush_status status = check_site(site);
	flush_log_path(path, site);
	return status == FLUSH_OK ? wake_log(path) : status;
}

static enum flush_status wake_one(struct str id)
{
	if (!queue_id_valid(id))
		return FLUSH_BAD;
	int error = wake_message(id);
	if (error == -ENOENT)
		return FLUSH_UNKNOWN;
	if (error < 0) {
		log_warning(
		    "move %.*s to %s: %s", STR_ARG(id), QUEUE_INCOMING, strerror(-error));
		return FLUSH_FAIL;
	}
	log_debug("requesting delivery of %.*s", STR_ARG(id));
	tell_qmgr();
	return FLUSH_OK;
}

static bool answer(struct service_call *call, enum flush_status status)
{
	flush_reply_write(call->reply, &(struct flush_reply){.status = (uint8_t)status});
	return true;
}

static bool serve_append(struct service_call *call)
{
	struct flush_append request;
	bool good = flush_append_read(call->payload, call->arena, &request);
	return answer(call, good ? note_all(&request) : FLUSH_BAD);
}

static bool serve_site(struct service_call *call)
{
	struct flush_site request;
	bool good = flush_site_read(call->payload, call->arena, &request);
	return answer(call, good ? wake_site(request.site) : FLUSH_BAD);
}

static bool serve_message(struct service_call *call)
{
	struct flush_message request;
	bool good = flush_message_read(call->payload, call->arena, &request);
	return answer(call, good ? wake_one(request.id) : FLUSH_BAD);
}

static const struct service_request requests[] = {
    {flush_append_type, flush_reply_type, serve_append},
    {flush_site_type, flush_reply_type, serve_site},
    {flush_message_type, flush_reply_type, serve_message},
    {0},
};

/* --- now and then --- */

/* A log that nobody asked for is read anew, so that it does not grow without end; one
 * that stays empty goes. */
static void refresh(const char *path)
{
	struct stat status;
	int64_t now = clock_wall_seconds();
	if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return;
	if (status.st_size > 0 &&
	    now - status.st_atim.tv_sec >= flush.params.fast_flush_refresh_time) {
		(void)wake_log(path);
		(void)utimensat(AT_FDCWD, path,
		    (const struct timespec[]){{.tv_sec = now}, {.tv_nsec = UTIME_OMIT}},
		    AT_SYMLINK_NOFOLLOW);
	} else if (status.st_size == 0 &&
	    now - status.st_mtim.tv_sec >= flush.params.fast_flush_purge_time) {
		log_debug("%s: removed, empty for long", path);
		(void)!file_unlink(AT_FDCWD, path);
	}
}

static void refresh_all(UNUSED void *argument)
{
	char path[QUEUE_PATH_MAX];
	DIR *directory = opendir(QUEUE_FLUSH);
	const struct dirent *entry;
	if (directory == NULL) {
		log_warning("open directory %s: %s", QUEUE_FLUSH, strerror(errno));
		return;
	}
	while ((entry = readdir(directory)) != NULL && !service_draining()) {
		int len =
		    snprintf(path, sizeof(path), "%s/%s", QUEUE_FLUSH, entry->d_name);
		if (entry->d_name[0] != '.' && len < (int)sizeof(path))
			refresh(path);
		fiber_yield();
	}
	(void)closedir(directory);
}

static void wakeup(void)
{
	if (fiber_start("refresh", refresh_all, NULL) != 0)
		log_warning("no memory to look through the logs");
}

static void before_jail(void)
{
	flush.sites = match_list_open_domains("fast_flush_domains",
	    service_common()->fast_flush_domains,
	    service_common()->parent_domain_matches_subdomains);
}

static void started(void)
{
	const struct common_params *common = service_common();
	flush.owner = owner_of(common).uid;
	flush.qmgr =
	    service_client_new(common, SERVICE_PUBLIC, common->queue_service_name);
}

static bool stale(void)
{
	return match_list_changed(flush.sites);
}

static const struct service flush_service = {
    .name = "flush",
    .params = flush_param_table,
    .values = &flush.params,
    .sandbox = SANDBOX_QUEUE,
    .before_jail = before_jail,
    .started = started,
    .requests = requests,
    .wakeup = wakeup,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&flush_service, argc, argv);
}
