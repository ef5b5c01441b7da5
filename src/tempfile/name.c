/* Random names.
 *
 * The characters are Python's: a-z, 0-9 and _, all of them safe on every file system, also where
 * upper and lower case are the same. There are 12 of them, not Python's 8: 62 bits make a name that
 * was used already a rarity even in directories with very many files.
 *
 * Every name comes fresh from the kernel. A generator of our own would be faster by nothing that
 * can be measured beside the creation of a file, and would have to notice forks. 37 characters do
 * not divide 256: bytes from 222 on are thrown away, so that each character is equally likely. */
#include "tempfile/name.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

#define ALPHABET_SIZE (sizeof(alphabet) - 1)
#define FAIR_LIMIT (256 / ALPHABET_SIZE * ALPHABET_SIZE)

/* One round of 32 bytes is nearly always enough; more are interrupted calls. */
#define ROUNDS_MAX 100

bool temp_name_part_valid(const char *part)
{
	return !strchr(part, '/') && strcmp(part, "..") != 0;
}

bool temp_name_valid(const char *name)
{
	return temp_name_part_valid(name) && *name && strcmp(name, ".") != 0;
}

bool temp_name_is_random(const char *text)
{
	return text[strspn(text, alphabet)] == '\0';
}

int temp_name_randomize(char *random, size_t size)
{
	size_t filled = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		unsigned char bytes[32];
		ssize_t got = getrandom(bytes, sizeof(bytes), 0);

		if (got < 0 && errno != EINTR)
			return -errno;
		for (ssize_t i = 0; i < got && filled < size; i++)
			if (bytes[i] < FAIR_LIMIT)
				random[filled++] = alphabet[bytes[i] % ALPHABET_SIZE];
		if (filled == size)
			return 0;
	}
	return -EINTR;
}
