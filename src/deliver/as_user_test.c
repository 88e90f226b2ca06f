#include "deliver/as_user.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "unit.h"

#define PIPE_BYTES 65536

/* Such a child never lets the reader wait; neither does this device. */
TEST(a_child_that_writes_without_end_is_read_up_to_the_deadline)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(100);
	int fd = file_open_at(AT_FDCWD, "/dev/zero", O_RDONLY | O_NONBLOCK, 0);
	assert_true(fd >= 0);
	alarm(10); /* without an end there is no failure to tell of */
	int64_t before = clock_ms();
	assert_int_equal(as_user_read(fd, deadline_after_ms(200), &out), -ETIMEDOUT);
	alarm(0);
	assert_true(clock_ms() - before >= 199);
	assert_int_equal(out.len, 100);
	file_close(&fd);
}

TEST(all_that_an_ended_child_left_in_its_pipe_is_read_after_the_deadline)
{
	static const char bytes[PIPE_BYTES];
	CLEANUP(buf_free) struct buf out = BUF_INIT(PIPE_BYTES * 2);
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], bytes, sizeof(bytes)), PIPE_BYTES);
	file_close(&ends[1]);
	assert_int_equal(as_user_read(ends[0], deadline_after_ms(0), &out), 0);
	assert_int_equal(out.len, PIPE_BYTES);
	file_close(&ends[0]);
}
