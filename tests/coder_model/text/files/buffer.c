#include <stdio.h>
#include <string.h>

/* It's a buffer (of characters). */
struct buffer {
    char data[64];
    int used;
};

static int add(struct buffer *b, const char *text) {
    int size = (int)strlen(text);
    if (b->used + size >= (int)sizeof(b->data)) {
        fprintf(stderr, "full: %d of %d (\"%s\")\n", b->used, (int)sizeof(b->data), text);
        return -1;
    }
    memcpy(&b->data[b->used], text, (size_t)size);
    b->used += size;
    return b->data[0] == '(' ? add(b, ")") : 0;
}

int main(void) {
    struct buffer b = {{0}, 0};
    return add(&b, "don't");
}
