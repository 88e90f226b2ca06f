/* Lookups by the C library, on worker threads: hosts file and what nsswitch says. */
#include "dns/lookup.h"

#include <netdb.h>

#include "base/memory.h"
#include "run/worker.h"

#define THREADS 16

struct job {
	char name[DNS_NAME_MAX + 1];
	int family;
	int error; /* EAI_ */
	struct addrinfo *found;
};

static struct run_pool *pool(void)
{
	static struct run_pool *pool;

	if (pool == NULL)
		pool = run_pool_new("native lookup", THREADS);
	return pool;
}

static void job_free(void *argument)
{
	struct job *job = argument;

	if (job->found != NULL)
		freeaddrinfo(job->found);
	free(job);
}

static int find_addresses(const char *name, int family, struct addrinfo **found_r)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};

	return getaddrinfo(name, NULL, &hints, found_r);
}

static void work(void *argument)
{
	struct job *job = argument;

	job->error = find_addresses(job->name, job->family, &job->found);
}

static enum dns_status status_of(int error)
{
	switch (error) {
	case 0:
		return DNS_FOUND;
	case EAI_NONAME:
		return DNS_NO_NAME;
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return DNS_NO_DATA;
	default:
		return DNS_TRY_LATER;
	}
}

static void take_records(
    const struct job *job, struct arena *arena, struct dns_answer *answer)
{
	struct str owner = arena_str(arena, str_of(job->name));

	answer->records =
	    arena_alloc_array(arena, DNS_RECORDS_MAX, sizeof(answer->records[0]));
	if (answer->records == NULL || owner.p == NULL) {
		answer->status = DNS_TRY_LATER;
		return;
	}
	for (const struct addrinfo *i = job->found; i != NULL; i = i->ai_next) {
		struct dns_record *record = &answer->records[answer->count];
		if (answer->count == DNS_RECORDS_MAX)
			break;
		if (!net_address_from(i->ai_addr, i->ai_addrlen, &record->address))
			continue;
		record->type = i->ai_family == AF_INET ? DNS_A : DNS_AAAA;
		record->name = owner;
		answer->count++;
	}
	answer->canonical = owner;
	answer->status = answer->count > 0 ? DNS_FOUND : DNS_NO_DATA;
}

struct dns_answer dns_lookup_native(
    struct str name, int family, struct arena *arena, int64_t deadline)
{
	struct dns_answer answer = {.status = DNS_BAD_NAME};
	struct job *job;

	if (!dns_name_is_valid(name))
		return answer;
	job = memory_alloc(sizeof(*job));
	job->family = family;
	(void)!str_to_cstr(name, job->name, sizeof(job->name)); /* valid names fit */
	answer.status = DNS_TRY_LATER;
	if (run_elsewhere(pool(), work, job, job_free, deadline) == RUN_LATE)
		return answer;
	answer.status = status_of(job->error);
	if (answer.status == DNS_FOUND)
		take_records(job, arena, &answer);
	job_free(job);
	return answer;
}

struct verify_job {
	struct net_address address;
	char name[NI_MAXHOST];
	enum dns_status status;
	bool reverse_found;
	int forward_error; /* of getaddrinfo */
};

static bool holds_address(const struct addrinfo *found, const struct net_address *wanted)
{
	for (; found != NULL; found = found->ai_next) {
		struct net_address address;
		if (net_address_from(found->ai_addr, found->ai_addrlen, &address) &&
		    net_address_equal_host(&address, wanted))
			return true;
	}
	return false;
}

/* A name is believed only when it leads back: anyone may write any name into his PTR. */
static void verify(void *argument)
{
	struct verify_job *job = argument;
	const struct net_address *a = &job->address;
	struct addrinfo *found = NULL;
	int error;

	job->status = status_of(getnameinfo((const struct sockaddr *)&a->storage, a->len,
	    job->name, sizeof(job->name), NULL, 0, NI_NAMEREQD));
	if (job->status != DNS_FOUND)
		return;
	if (!dns_name_is_valid(str_of(job->name))) {
		job->status = DNS_BAD_NAME;
		return;
	}
	job->reverse_found = true;
	error = find_addresses(job->name, net_address_family(a), &found);
	job->status = status_of(error);
	job->forward_error = error;
	if (error != 0)
		return;
	if (!holds_address(found, a))
		job->status = DNS_NO_NAME;
	freeaddrinfo(found);
}

enum dns_status dns_verified_name(const struct net_address *a, struct buf *name_r,
    struct buf *reverse_r, const char **trouble_r, int64_t deadline)
{
	struct verify_job *job = memory_alloc(sizeof(*job));
	enum dns_status status;

	job->address = *a;
	net_address_unmap(&job->address);
	if (run_elsewhere(pool(), verify, job, free, deadline) == RUN_LATE)
		return DNS_TRY_LATER;
	status = job->status;
	if (job->reverse_found)
		buf_add_cstr(reverse_r, job->name);
	if (status == DNS_FOUND)
		buf_add_cstr(name_r, job->name);
	if (job->forward_error != 0)
		*trouble_r = gai_strerror(job->forward_error);
	free(job);
	return status;
}
