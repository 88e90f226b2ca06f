/*
 * virtual: delivers to the mailboxes of hosted domains, found by whole address in
 * virtual_mailbox_maps, with the uid and gid that tables give.
 *
 * Reads from strangers: recipient addresses and, through queue files, message content;
 * content is read only in a child with the mailbox's rights. Runs with effective uid
 * mail_owner; root is effective only around fork and setuid. Must not be jailed. Carries
 * some deliveries at a time: only tables block it, maildirs share syncs
 * (deliver/scribe.h). If it died, the message would be delivered again.
 */
#include <string.h>

#include "base/memory.h"
#include "base/panic.h"
#include "base/log.h"
#include "deliver/mailbox.h"
#include "deliver/message_copy.h"
#include "mail/address_maps.h"
#include "service/owner.h"
#include "service/service.h"
#include "virtual_params.h"

#define PATH_ROOM 4096
#define ID_MAX    UINT32_MAX

static struct {
	struct virtual_params params;
	struct owner owner;
	struct maps *mailboxes, *uids, *gids;
	unsigned lock_styles;
} state;

/* Finds the value for a recipient: whole address with extension, without, then @domain.
 */
static bool look_up(struct maps *maps, const char *what, struct str address,
    struct buf *value, struct why *why)
{
	CLEANUP(buf_free) struct buf extension = BUF_INIT(ADDRESS_MAX);
	struct address_maps_query query = {
	    .maps = maps,
	    .rules = service_extension_rules(),
	    .flags = ADDRESS_MAPS_DOMAIN,
	};
	switch (address_maps_lookup(&query, address, value, &extension)) {
	case TABLE_FOUND:
		return true;
	case TABLE_ABSENT:
		if (maps == state.mailboxes)
			return why_never(
			    why, "5.1.1", "unknown user: \"%.*s\"", STR_ARG(address));
		log_warning("recipient %.*s: not found in %s", STR_ARG(address), what);
		return why_later(why, "4.3.5", "mail system configuration error");
	case TABLE_TRY_LATER:
	case TABLE_BROKEN:
		break;
	}
	return why_later(
	    why, "4.3.5", "recipient %.*s: %s lookup failure", STR_ARG(address), what);
}

static bool look_up_id(struct maps *maps, const char *what, struct str address,
    int64_t least, int64_t *id_r, struct why *why)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(64);
	if (!look_up(maps, what, address, &value, why))
		return false;
	if (str_to_range(buf_str(&value), least, ID_MAX, id_r))
		return true;
	log_warning("recipient %.*s: bad %s %s in %s", STR_ARG(address),
	    maps == state.uids ? "uid" : "gid", buf_cstr(&value), what);
	return why_later(why, "4.3.5", "mail system configuration error");
}

static bool find_user(struct str address, struct as_user *user, struct why *why)
{
	*user = (struct as_user){.switch_ids = !state.owner.single_user};
	if (state.owner.single_user)
		return true;
	int64_t uid, gid;
	if (!look_up_id(state.uids, "virtual_uid_maps", address,
		state.params.virtual_minimum_uid, &uid, why) ||
	    !look_up_id(state.gids, "virtual_gid_maps", address, 1, &gid, why))
		return false;
	user->uid = (uid_t)uid;
	user->gid = (gid_t)gid;
	return true;
}

static bool find_path(
    struct arena *a, struct str address, const char **path_r, struct why *why)
{
	CLEANUP(buf_free) struct buf value = BUF_INIT(PATH_ROOM);
	if (!look_up(state.mailboxes, "virtual_mailbox_maps", address, &value, why))
		return false;
	const char *base = state.params.virtual_mailbox_base;
	const char *path =
	    arena_printf(a, "%s%s%s", base, base[0] != '\0' ? "/" : "", buf_cstr(&value));
	if (path == NULL)
		return why_later(why, "4.3.0", "out of memory for this request");
	if (strlen(path) >= PATH_ROOM || str_has_control(buf_str(&value)) ||
	    str_find_str(buf_str(&value), STR("..")) >= 0)
		return why_later(
		    why, "4.3.5", "recipient %.*s: bad mailbox name", STR_ARG(address));
	*path_r = path;
	return true;
}

static bool find_mailbox(
    struct delivery *d, size_t index, struct mailbox_target *target_r, struct why *why)
{
	const struct virtual_params *p = &state.params;
	struct str address = d->recipients[index].request->address;
	const char *path = NULL;
	struct as_user user;
	if (!find_path(d->arena, address, &path, why) || !find_user(address, &user, why))
		return false;
	unsigned flags = COPY_RETURN_PATH | COPY_DELIVERED_TO;
	if (p->enable_original_recipient)
		flags |= COPY_ORIGINAL_TO;
	*target_r = (struct mailbox_target){
	    .path = path,
	    .owner = user,
	    .hostname = service_common()->myhostname,
	    .copy_flags = flags,
	    .limit = p->virtual_mailbox_limit,
	    .locks = {.styles = state.lock_styles,
		.attempts = p->deliver_lock_attempts,
		.delay = p->deliver_lock_delay,
		.stale = p->stale_lock_time},
	    .strict_ownership = p->strict_mailbox_ownership,
	    .seconds = service_common()->daemon_timeout,
	};
	return true;
}

static void take_outcome(struct delivery *d, struct mailbox_job *job)
{
	if (why_is_set(&job->why))
		delivery_failed(d, job->recipient, STR_EMPTY, &job->why);
	else
		delivery_sent(d, job->recipient, STR_EMPTY, 0, "2.0.0",
		    str_of(mailbox_text(d, &job->target)));
	why_free(&job->why);
}

static void deliver(struct delivery *d)
{
	struct mailbox_job *jobs = memory_alloc_array(d->count, sizeof(*jobs));
	size_t count = 0;
	for (size_t i = 0; i < d->count; i++) {
		struct mailbox_job *job = &jobs[count];
		*job = (struct mailbox_job){.recipient = i};
		why_init(&job->why);
		if (find_mailbox(d, i, &job->target, &job->why))
			count++;
		else
			take_outcome(d, job);
	}
	mailbox_deliver(d, jobs, count);
	for (size_t i = 0; i < count; i++)
		take_outcome(d, &jobs[i]);
	free(jobs);
}

static void exchange(struct ipc_exchange *x)
{
	delivery_serve(x, "virtual", deliver);
}

static void before_jail(void)
{
	unsigned flags = TABLE_FOLD | TABLE_TRUSTED;
	const char *locks = state.params.virtual_mailbox_lock;
	const char *fault = mailbox_limit_fault(
	    state.params.virtual_mailbox_limit, service_common()->message_size_limit);
	if (fault != NULL)
		fatal("configuration error: virtual_mailbox_limit %s", fault);
	delivery_before_jail(service_common());
	delivery_filter("virtual_delivery_status_filter",
	    state.params.virtual_delivery_status_filter);
	if (!mailbox_lock_parse(str_of(locks), &state.lock_styles))
		fatal("bad value of parameter virtual_mailbox_lock: %s", locks);
	state.mailboxes =
	    maps_open("virtual_mailbox_maps", state.params.virtual_mailbox_maps, flags);
	state.uids = maps_open("virtual_uid_maps", state.params.virtual_uid_maps, flags);
	state.gids = maps_open("virtual_gid_maps", state.params.virtual_gid_maps, flags);
}

static void started(void)
{
	state.owner = owner_of(service_common());
	delivery_open(service_common(), state.owner.uid);
}

static bool stale(void)
{
	return maps_changed(state.mailboxes) || maps_changed(state.uids) ||
	    maps_changed(state.gids) || delivery_filter_changed();
}

static const struct service virtual_service = {
    .name = "virtual",
    .params = virtual_param_table,
    .values = &state.params,
    .sandbox = SANDBOX_ROOT,
    .root = true,
    .no_threads = true,
    .before_jail = before_jail,
    .started = started,
    .exchange = exchange,
    .stale = stale,
};

int main(int argc, char **argv)
{
	return service_main(&virtual_service, argc, argv);
}
