import { useState } from "react";

export function List({ items }: { items: string[] }) {
  const [open, setOpen] = useState(false);
  const shown = items.filter((item) => item.length > 0);
  return (
    <ul className="list" onClick={() => setOpen(!open)}>
      {shown.map((item) => (
        <li key={item}>{item.trim()}</li>
      ))}
    </ul>
  );
}
