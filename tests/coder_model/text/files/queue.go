package queue

import (
	"errors"
	"fmt"
	"strings"
)

// Queue holds jobs; it's not safe (yet).
type Queue struct {
	jobs  []string
	limit int
}

func (q *Queue) Add(job string) error {
	if len(q.jobs) >= q.limit {
		return fmt.Errorf("queue is full: %d jobs (%s)", len(q.jobs), strings.Join(q.jobs, ", "))
	}
	q.jobs = append(q.jobs, strings.Trim(job, `"'`))
	return nil
}

func (q *Queue) Next() (string, error) {
	if len(q.jobs) == 0 {
		return "", errors.New("nothing to do")
	}
	job := q.jobs[0]
	q.jobs = q.jobs[1:]
	return strings.Map(func(r rune) rune {
		if r == '(' || r == '\'' {
			return -1
		}
		return r
	}, job), nil
}
