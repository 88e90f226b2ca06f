#include "deliver/scribe_child.h"

#include <errno.h>
#include <sys/uio.h>

#include "base/memory.h"
#include "deliver/maildir.h"
#include "deliver/scribe_errand.h"
#include "deliver/user_file.h"

#define ERRAND_ARENA (8 * 1024 * 1024)

/* One errand of a go. */
struct visit {
	struct scribe_errand errand;
	struct delivery delivery; /* its arena holds all of the errand */
	size_t first;             /* of its jobs in the go's */
	struct buf found;
};

/* What is delivered with the same syncs. */
struct go {
	struct visit visits[MAILDIR_GROUP];
	size_t visits_count;
	struct maildir_job *jobs;
	struct why *whys;
	size_t jobs_count;
	int64_t bytes;
};

/* The packet and the descriptor with it; 0 at the end, when the agent is gone; -EAGAIN
 * when there is none and it is not to wait. */
static ssize_t receive_errand(char *bytes, int *fd_r, bool wait)
{
	struct iovec data = {bytes, SCRIBE_PACKET_MAX};
	union scribe_control control = {0};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t got;
	do {
		got = recvmsg(SCRIBE_CHILD_FD, &message,
		    MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	} while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return -EAGAIN;
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header == NULL || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return 0;
	memcpy(fd_r, CMSG_DATA(header), sizeof(*fd_r));
	return got;
}

static bool find_first(struct arena *a, const struct scribe_errand *e, struct buf *found)
{
	const char **paths = arena_alloc_array(a, e->files_count, sizeof(*paths));
	struct user_files files = {
	    .paths = paths, .owner = (uid_t)e->files_owner, .what = ""};
	for (uint32_t i = 0; paths != NULL && i < e->files_count; i++) {
		paths[i] = arena_cstr(a, e->files[i].path);
		if (paths[i] != NULL)
			files.count = i + 1;
	}
	return user_file_find(&files, found);
}

/* False: there is no memory for it in the arena. */
static bool take_recipients(struct delivery *d, const struct scribe_errand *e)
{
	struct delivery_recipient *requests =
	    arena_alloc_array(d->arena, e->jobs_count, sizeof(*requests));
	d->recipients =
	    arena_alloc_array(d->arena, e->jobs_count, sizeof(*d->recipients));
	if (requests == NULL || d->recipients == NULL)
		return false;
	for (uint32_t i = 0; i < e->jobs_count; i++) {
		requests[i].address = e->jobs[i].address;
		requests[i].original = e->jobs[i].original;
		d->recipients[i] = (struct delivery_rcpt){.request = &requests[i],
		    .sender = e->sender,
		    .delivered_to = e->jobs[i].delivered_to};
	}
	return true;
}

/* Takes over `fd`. False: it is no errand. */
static bool visit_begin(struct visit *v, struct str packet, int fd)
{
	struct arena *a = arena_new(ERRAND_ARENA);
	*v = (struct visit){.delivery.arena = a, .found = BUF_INIT(SCRIBE_FOUND_MAX)};
	struct str own = arena_str(a, packet);
	if (own.p == NULL || !scribe_errand_read(own, a, &v->errand) ||
	    v->errand.jobs_count == 0 || v->errand.jobs_count > MAILDIR_GROUP ||
	    !take_recipients(&v->delivery, &v->errand) ||
	    queue_file_take(&v->delivery.file, fd) != 0)
		return false;
	v->delivery.envelope.content_offset = v->errand.content_offset;
	return true;
}

/* Where a file says where the mail goes, nothing is delivered. */
static void add_jobs(struct go *g, struct visit *v)
{
	const struct scribe_errand *e = &v->errand;
	struct arena *a = v->delivery.arena;
	v->first = g->jobs_count;
	if (find_first(a, e, &v->found))
		return;
	for (uint32_t i = 0; i < e->jobs_count; i++) {
		why_init(&g->whys[g->jobs_count]);
		g->jobs[g->jobs_count++] = (struct maildir_job){.delivery = &v->delivery,
		    .recipient = i,
		    .target = {.directory = arena_cstr(a, e->jobs[i].directory),
			.hostname = arena_cstr(a, e->hostname),
			.copy_flags = e->copy_flags,
			.limit = e->limit}};
	}
	g->bytes += v->delivery.file.status.st_size * (int64_t)e->jobs_count;
}

static bool has_room(const struct go *g)
{
	return g->visits_count < MAILDIR_GROUP && g->jobs_count < MAILDIR_GROUP &&
	    g->bytes < MAILDIR_GROUP_BYTES;
}

/* Waits for the first only. Result: 1, or 0 when the agent is gone, or -1 for nonsense.
 */
static int take_errands(struct go *g, char *bytes)
{
	ssize_t got = 1;
	int fd;
	while (
	    has_room(g) && (got = receive_errand(bytes, &fd, g->visits_count == 0)) > 0) {
		struct visit *v = &g->visits[g->visits_count];
		if (!visit_begin(v, (struct str){bytes, (size_t)got}, fd))
			return -1;
		g->visits_count++;
		add_jobs(g, v);
	}
	return got == 0 && g->visits_count == 0 ? 0 : 1;
}

/* The queue file is closed before the report: its lock goes with the last descriptor. */
static bool visit_end(struct visit *v, struct why *whys, size_t count)
{
	CLEANUP(buf_free) struct buf report = BUF_INIT(SCRIBE_REPORT_MAX);
	queue_file_close(&v->delivery.file);
	buf_add(&report, &v->errand.number, sizeof(v->errand.number));
	if (count > 0)
		errand_report_write(&report, whys, count);
	for (size_t i = count; i < v->errand.jobs_count; i++)
		buf_add_char(&report, '\0');
	buf_add_str(&report, buf_str(&v->found));
	buf_free(&v->found);
	arena_free(v->delivery.arena);
	for (size_t i = 0; i < count; i++)
		why_free(&whys[i]);
	return buf_ok(&report) &&
	    send(SCRIBE_CHILD_FD, report.p, report.len, MSG_NOSIGNAL) ==
	    (ssize_t)report.len;
}

static bool report_all(struct go *g)
{
	bool told = true;
	for (size_t i = 0; i < g->visits_count; i++) {
		size_t end =
		    i + 1 < g->visits_count ? g->visits[i + 1].first : g->jobs_count;
		size_t first = g->visits[i].first;
		told = visit_end(&g->visits[i], &g->whys[first], end - first) && told;
	}
	return told;
}

int scribe_child(UNUSED void *unused)
{
	char *bytes = memory_alloc(SCRIBE_PACKET_MAX);
	struct go *g = memory_alloc(sizeof(*g));
	/* The last errand may bring as many as there is room for without it. */
	struct maildir_job *jobs = memory_alloc_array(2 * MAILDIR_GROUP, sizeof(*jobs));
	struct why *whys = memory_alloc_array(2 * MAILDIR_GROUP, sizeof(*whys));
	int taken;
	for (;;) {
		g->visits_count = g->jobs_count = 0;
		g->bytes = 0;
		g->jobs = jobs;
		g->whys = whys;
		taken = take_errands(g, bytes);
		if (taken <= 0)
			return taken == 0 ? 0 : 1;
		maildir_deliver(g->jobs, g->whys, g->jobs_count);
		if (!report_all(g))
			return 1;
	}
}
