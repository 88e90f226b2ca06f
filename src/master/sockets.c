/* Listening sockets: where a row listens is text first, so that a reload can compare. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/panic.h"
#include "master/master.h"
#include "net/listen.h"

#define LEAST_BACKLOG 100

static bool wants(int family)
{
	struct str protocols = str_of(master.common.inet_protocols);
	return str_list_has(protocols, "all") ||
	    str_list_has(protocols, family == AF_INET6 ? "ipv6" : "ipv4");
}

static void describe_address(struct buf *out, const struct net_address *a, uint16_t port)
{
	bool six = net_address_family(a) == AF_INET6;
	if (!wants(net_address_family(a)))
		return;
	buf_add_cstr(out, six ? "[" : "");
	net_address_add_text(out, a);
	buf_printf(out, "%s:%u ", six ? "]" : "", port);
}

/* A numeric address, or a name that the hosts file or resolver knows. */
static bool describe_host(struct buf *out, struct str host, uint16_t port)
{
	struct net_address address;
	char name[256];
	struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
	if (net_address_parse(host, 0, &address)) {
		describe_address(out, &address, port);
		return true;
	}
	if (!str_to_cstr(host, name, sizeof(name)) ||
	    getaddrinfo(name, NULL, &hints, &found) != 0) {
		log_warning("host not found: %.*s", STR_ARG(host));
		return false;
	}
	for (const struct addrinfo *i = found; i != NULL; i = i->ai_next)
		if (net_address_from(i->ai_addr, (socklen_t)i->ai_addrlen, &address))
			describe_address(out, &address, port);
	freeaddrinfo(found);
	return true;
}

static bool describe_interfaces(struct buf *out, uint16_t port)
{
	struct str words = str_of(master.common.inet_interfaces), word;
	bool good = true;
	while (str_next(&words, " \t\r\n,", &word)) {
		if (str_is_nocase(word, "all"))
			good = describe_host(out, STR("0.0.0.0"), port) &&
			    describe_host(out, STR("::"), port) && good;
		else if (str_is_nocase(word, "loopback-only"))
			good = describe_host(out, STR("127.0.0.1"), port) &&
			    describe_host(out, STR("::1"), port) && good;
		else
			good = describe_host(out, word, port) && good;
	}
	return good;
}

/* "25", "smtp", "host:25", "[::1]:25". */
static bool split_inet(
    const struct master_row *source, struct str *host_r, uint16_t *number_r)
{
	struct str name = str_of(source->name), host = STR_EMPTY, port = name;
	ptrdiff_t colon = str_find_last(name, ':');
	if (colon >= 0) {
		host = str_slice(name, 0, (size_t)colon);
		port = str_skip(name, (size_t)colon + 1);
	}
	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_slice(host, 1, host.len - 1);
	*host_r = host;
	return ports_parse(port, number_r);
}

static bool describe_inet(const struct master_row *source, struct buf *out)
{
	struct str host;
	uint16_t number;
	if (!split_inet(source, &host, &number)) {
		log_error("%s/master.cf: line %u: unknown port: %s", master.directory,
		    source->line, source->name);
		return false;
	}
	return host.len > 0 ? describe_host(out, host, number)
			    : describe_interfaces(out, number);
}

void sockets_name(const struct master_row *source, struct buf *out)
{
	struct str host;
	uint16_t number;
	if (source->type != MASTER_INET)
		buf_printf(out, "%s/%s", source->is_private != 0 ? "private" : "public",
		    source->name);
	else if (!split_inet(source, &host, &number))
		buf_add_cstr(out, source->name);
	else if (host.len > 0)
		buf_printf(out, "[%.*s]:%u", STR_ARG(host), number);
	else
		buf_printf(out, "%u", number);
}

bool sockets_describe(const struct master_row *source, struct buf *out)
{
	if (source->type == MASTER_INET)
		return describe_inet(source, out);
	sockets_name(source, out);
	return true;
}

/* As net_listen: an old socket is replaced, the directory guards the new one. */
static int bind_datagram(const char *path, const struct net_address *address)
{
	struct stat status;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode))
		(void)unlink(path);
	if (bind(fd, (const struct sockaddr *)&address->storage, address->len) == 0 &&
	    chmod(path, 0666) == 0)
		return fd;
	int error = errno;
	file_close(&fd);
	return -error;
}

static void become(uid_t uid, gid_t gid)
{
	/* The group can be changed only with root's rights. */
	bool root_again = uid == 0;
	if (root_again && seteuid(uid) != 0)
		fatal("seteuid(%d): %s", (int)uid, strerror(errno));
	if (setegid(gid) != 0)
		fatal("setegid(%d): %s", (int)gid, strerror(errno));
	if (!root_again && seteuid(uid) != 0)
		fatal("seteuid(%d): %s", (int)uid, strerror(errno));
}

/*
 * As mail_owner, who owns the directory and shall own the socket: whoever has his rights
 * could put something else in its place before root gave it away or changed its mode.
 */
static int bind_unix(const struct row *r, int backlog)
{
	struct net_address address;
	bool other = !master.owner.single_user;
	gid_t group = getegid();
	int fd = net_address_unix(r->path, &address);
	if (fd != 0)
		return fd;
	if (other)
		become(master.owner.uid, master.owner.gid);
	fd = r->kind == MASTER_DGRAM ? bind_datagram(r->path, &address)
				     : net_listen(&address, backlog);
	if (other)
		become(0, group);
	return fd;
}

static int bind_inet(struct str endpoint, int backlog, bool shared)
{
	struct net_address address;
	ptrdiff_t colon = str_find_last(endpoint, ':');
	struct str host = str_slice(endpoint, 0, (size_t)colon);
	int64_t port;
	if (str_starts(host, STR("[")))
		host = str_slice(host, 1, host.len - 1);
	if (!str_to_range(str_skip(endpoint, (size_t)colon + 1), 1, 65535, &port) ||
	    !net_address_parse(host, (uint16_t)port, &address))
		return -EINVAL;
	return shared ? net_listen_shared(&address, backlog)
		      : net_listen(&address, backlog);
}

static void add_listener(struct row *r, int fd)
{
	struct listener *l = &r->listeners[r->listener_count++];
	l->fd = fd;
	l->watch = run_watch_new(fd);
}

/* An address family that the machine lacks is no reason to serve nobody. */
static bool is_ipv6_lacking(struct str endpoint, int error)
{
	return str_starts(endpoint, STR("[")) &&
	    (error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL);
}

static void report(const struct row *r, struct str endpoint, int error)
{
	ptrdiff_t colon = str_find_last(endpoint, ':');
	struct str host = str_slice(endpoint, 0, (size_t)colon);
	if (r->kind != MASTER_INET)
		colon = -1;
	else if (str_starts(host, STR("[")))
		host = str_slice(host, 1, host.len - 1);
	if (is_ipv6_lacking(endpoint, error))
		log_warning("bind %.*s: %s: IPv6 is not used here", STR_ARG(endpoint),
		    strerror(-error));
	else if (colon < 0)
		log_line(master.starting ? LOG_LEVEL_FATAL : LOG_LEVEL_ERROR,
		    "bind: %.*s: %s", STR_ARG(endpoint), strerror(-error));
	else
		log_line(master.starting ? LOG_LEVEL_FATAL : LOG_LEVEL_ERROR,
		    "bind %.*s port %.*s: %s", STR_ARG(host),
		    STR_ARG(str_skip(endpoint, (size_t)colon + 1)), strerror(-error));
}

static void report_too_many(const struct row *r, struct str endpoint)
{
	log_line(master.starting ? LOG_LEVEL_FATAL : LOG_LEVEL_ERROR,
	    "service %s: more than %d addresses: it does not listen at %.*s and those after "
	    "it",
	    r->name, MASTER_LISTENERS_MAX, STR_ARG(endpoint));
}

bool sockets_open(struct row *r)
{
	struct str rest = str_of(r->endpoints), endpoint;
	int backlog = r->clients > LEAST_BACKLOG ? (int)r->clients : LEAST_BACKLOG;
	bool good = true;
	while (str_next(&rest, " ", &endpoint)) {
		if (r->listener_count == MASTER_LISTENERS_MAX) {
			report_too_many(r, endpoint);
			return false;
		}
		int fd = r->kind == MASTER_INET ? bind_inet(endpoint, backlog, r->shared)
						: bind_unix(r, backlog);
		if (fd >= 0) {
			add_listener(r, fd);
			continue;
		}
		report(r, endpoint, fd);
		good = good && is_ipv6_lacking(endpoint, fd);
	}
	return good;
}

/* Those that are open stay open. */
void sockets_share(struct row *r)
{
	for (size_t i = 0; i < r->listener_count; i++) {
		int error = net_share(r->listeners[i].fd);
		if (error != 0)
			log_warning("service %s: cannot share its port: %s", r->name,
			    strerror(-error));
	}
	r->shared = true;
}

void sockets_close(struct row *r)
{
	for (size_t i = 0; i < r->listener_count; i++) {
		run_watch_free(r->listeners[i].watch);
		/* Processes that have not ended yet have it too: the port must be free
		 * now. */
		if (r->kind == MASTER_INET)
			(void)shutdown(r->listeners[i].fd, SHUT_RDWR);
		file_close(&r->listeners[i].fd);
	}
	if (r->listener_count > 0 && r->path != NULL)
		(void)unlink(r->path);
	r->listener_count = 0;
	r->watching = false;
}
